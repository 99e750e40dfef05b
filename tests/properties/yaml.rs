//! What is written as YAML reads back, whoever reads it.

use proptest::prelude::*;
use qonnect_schema::yaml::{self, Dialect, Limits, Node};
use serde_json::{Map, Value};

/// Words that one YAML or another takes for something else than a text, and bits that make such words.
const TRICKY: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "null",
    "~",
    "true",
    "False",
    "0777",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "1e3",
    ".5",
    "1.",
    "+1",
    "-0",
    ".inf",
    ".nan",
    "12:30:45",
    "2001-01-01",
    "<<",
    "=",
    "-",
    "?",
    ":",
    "#",
    "a: b",
    "a #b",
    "- a",
    "&a",
    "*a",
    "!t",
    "|",
    ">",
    "'",
    "\"",
    "%",
    "@",
    "`",
    "{",
    "[",
    "}",
    "]",
    ",",
    " a",
    "a ",
    "\t",
    "\n",
    "a\nb",
    "a\n",
    "\n\na",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{7f}",
    "\u{0}",
    "\r\n",
    "ä",
    "🔑",
    "---",
    "...",
    "",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(TRICKY).prop_map(String::from),
        "[ -~]{0,12}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (-1e6..1e6f64).prop_filter("whole floats read back as integers", |x| x.fract() != 0.0).prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_in_both_dialects(value in value()) {
        let written = yaml::to_string(&value).unwrap();
        for dialect in [Dialect::Strict, Dialect::Kubernetes] {
            let (documents, faults) = yaml::parse(written.as_bytes(), dialect, &Limits::DEFAULT);
            prop_assert_eq!(&faults, &[], "{}", written);
            let read: Vec<Value> = documents.into_iter().map(Node::into_value).collect();
            prop_assert_eq!(&read, std::slice::from_ref(&value), "{:?}: {}", dialect, written);
        }
        prop_assert_eq!(&yaml::from_str::<Value>(&written).unwrap(), &value, "{}", written);
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_their_borders(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for dialect in [Dialect::Strict, Dialect::Kubernetes] {
            let (_, faults) = yaml::parse(&bytes, dialect, &Limits::DEFAULT);
            for fault in faults {
                prop_assert!(fault.range.start <= fault.range.end && fault.range.end <= bytes.len(), "{:?}", fault);
            }
        }
    }
}
