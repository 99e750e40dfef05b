//! From a YAML stream to its trees and faults.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_yaml::granit_parser::{self as parser, ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};

use super::tree::{Content, Member, Node, Range};
use super::{Dialect, Limits, scalar};

/// What is wrong with a file as YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In kebab case, for [`crate::diagnostic::Diagnostic::code`].
    pub code: &'static str,
    pub range: Range,
    pub message: String,
    pub help: Option<String>,
}

/// Reads all documents of a file; an empty one is a null.
///
/// Guarantees: work and memory are bounded by `limits`. The faults are all that could be found: after a fault of
/// syntax, or beyond a limit, the rest of the file is unread. Duplicate keys do not end reading, the first counts.
pub fn parse(bytes: &[u8], dialect: Dialect, limits: &Limits) -> (Vec<Node>, Vec<Fault>) {
    if bytes.len() > limits.bytes {
        let message =
            format!("the file has {} bytes, more than the {} that are read", bytes.len(), limits.bytes);
        return (Vec::new(), vec![fault("file-too-large", 0..0, message)]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let help = Some("save the file as UTF-8".into());
            let message = "the file is not UTF-8".into();
            return (Vec::new(), vec![Fault { code: "not-utf8", range: at..at + 1, message, help }]);
        }
    };
    let mut composer = Composer::new(text, dialect, limits);
    let mut documents = Vec::new();
    if let Err(stop) = composer.stream(&mut documents) {
        composer.faults.push(*stop);
    }
    composer.faults.sort_by_key(|fault| fault.range.start);
    (documents, composer.faults)
}

fn fault(code: &'static str, range: Range, message: impl Into<String>) -> Fault {
    Fault { code, range, message: message.into(), help: None }
}

/// A fault after which nothing more can be read.
type Stop = Box<Fault>;

struct Composer<'a> {
    text: &'a str,
    parser: Parser<'a, parser::StrInput<'a>>,
    dialect: Dialect,
    limits: &'a Limits,
    nodes: usize,
    aliases: usize,
    anchors: BTreeMap<usize, Anchored>,
    faults: Vec<Fault>,
}

struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

impl<'a> Composer<'a> {
    fn new(text: &'a str, dialect: Dialect, limits: &'a Limits) -> Self {
        let mut options = parser::Options::default();
        options.set_emit_comments(false);
        options.block_nesting_limit = limits.depth + 1;
        options.flow_nesting_limit = limits.depth + 1;
        let parser = Parser::new_from_str_with_options(text, options);
        Self {
            text,
            parser,
            dialect,
            limits,
            nodes: 0,
            aliases: 0,
            anchors: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Range), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.byte_range().unwrap_or(0..0))),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        let mut at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let (code, message, help) = match error.kind() {
            ErrorKind::RecursionLimitExceeded => {
                ("nested-too-deep", format!("nested more than {} levels deep", self.limits.depth), None)
            }
            ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
                at -= usize::from(self.text[..at].ends_with('\t'));
                ("yaml-syntax", "a tab where YAML wants spaces".into(), Some("indent with spaces"))
            }
            ErrorKind::UnknownAnchor => {
                ("yaml-syntax", "an alias to an anchor that is not above it".into(), None)
            }
            ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => {
                let help = "is a colon missing, or is a line indented too far or too little?";
                ("yaml-syntax", format!("no YAML: {}", error.kind()), Some(help))
            }
            kind => ("yaml-syntax", format!("no YAML: {kind}"), None),
        };
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        Box::new(Fault { code, range: at..end, message, help: help.map(Into::into) })
    }

    fn stream(&mut self, documents: &mut Vec<Node>) -> Result<(), Stop> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), range) => {
                    if documents.len() == self.limits.documents {
                        let message = format!("more than {} documents in one file", self.limits.documents);
                        return Err(Box::new(fault("too-many-documents", range, message)));
                    }
                    self.anchors.clear();
                    let (event, range) = self.next()?;
                    documents.push(self.node(event, range, 1)?);
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, range: Range, depth: usize) -> Result<Node, Stop> {
        self.spend(1, depth, &range)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(text.into_owned(), style, tag.as_deref(), &range);
                self.keep(anchor, Node { range, content: Content::Scalar(value) }, depth)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", &range);
                let node = self.list(range, depth)?;
                self.keep(anchor, node, depth)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", &range);
                let node = self.map(range, depth)?;
                self.keep(anchor, node, depth)
            }
            Event::Alias(id) => self.alias(id, range, depth),
            // The parser promises a node wherever one may stand.
            _ => Err(Box::new(fault("yaml-syntax", range, "expected a value"))),
        }
    }

    fn list(&mut self, mut range: Range, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    range.end = self.end_of_text(range.start, end.end);
                    return Ok(Node { range, content: Content::List(items) });
                }
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, mut range: Range, depth: usize) -> Result<Node, Stop> {
        let mut members: Vec<Member> = Vec::new();
        let mut keys = BTreeSet::new();
        let mut merged = Vec::new();
        loop {
            let (event, key_range) = match self.next()? {
                (Event::MappingEnd, end) => {
                    range.end = self.end_of_text(range.start, end.end);
                    for member in merged {
                        self.merge(member, &mut members, &mut keys);
                    }
                    return Ok(Node { range, content: Content::Map(members) });
                }
                next => next,
            };
            let plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, _, _));
            let key = self.node(event, key_range.clone(), depth + 1)?;
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            let Some(key) = self.key(key) else { continue };
            if plain && key == "<<" {
                merged.push(node);
            } else if keys.insert(key.clone()) {
                members.push(Member { key, key_range, node });
            } else {
                let message = format!("the key `{key}` stands here twice");
                let help = Some("keep one of them".into());
                self.faults.push(Fault { code: "duplicate-key", range: key_range, message, help });
            }
        }
    }

    /// A key as text. Kubernetes reads `on:` and `0x10:` as values first, so that they become `true` and `16`.
    fn key(&mut self, key: Node) -> Option<String> {
        match &key.content {
            Content::Scalar(Value::String(text)) => return Some(text.clone()),
            Content::Scalar(Value::Number(_) | Value::Bool(_)) if self.dialect == Dialect::Strict => {
                return Some(self.text[key.range].to_string());
            }
            Content::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => return Some(value.to_string()),
            _ => {}
        }
        self.faults.push(fault("key-not-text", key.range, "a key must be a text"));
        None
    }

    /// `<<: *base` takes over what the map does not say itself.
    fn merge(&mut self, from: Node, members: &mut Vec<Member>, keys: &mut BTreeSet<String>) {
        match from.content {
            Content::Map(base) => {
                for member in base {
                    if keys.insert(member.key.clone()) {
                        members.push(member);
                    }
                }
            }
            Content::List(bases) if bases.iter().all(|base| matches!(base.content, Content::Map(_))) => {
                for base in bases {
                    self.merge(base, members, keys);
                }
            }
            _ => self.faults.push(fault("merge-not-map", from.range, "`<<` merges maps only")),
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<&Tag>, range: &Range) -> Value {
        let value = match tag.map(|tag| (tag, tag.core_suffix())) {
            None if style != ScalarStyle::Plain => Some(Value::String(text)),
            None => scalar::plain(&text, self.dialect),
            Some((_, Some("str"))) => Some(Value::String(text)),
            Some((_, Some("int" | "float" | "bool" | "null"))) => scalar::plain(&text, self.dialect),
            Some((tag, _)) => {
                self.unknown_tag(tag, range);
                Some(Value::String(text))
            }
        };
        value.unwrap_or_else(|| {
            let message = "neither JSON nor Kubernetes knows this number";
            self.faults.push(fault("number-out-of-range", range.clone(), message));
            Value::Null
        })
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, wanted: &str, range: &Range) {
        if let Some(tag) = tag.filter(|tag| tag.core_suffix() != Some(wanted)) {
            self.unknown_tag(tag, range);
        }
    }

    /// A tag stands before its value.
    fn unknown_tag(&mut self, tag: &Tag, value: &Range) {
        let original = tag.original().to_string();
        let before = self.text.get(..value.start).unwrap_or_default().trim_end();
        let range = match before.strip_suffix(&original) {
            Some(rest) => rest.len()..before.len(),
            None => value.clone(),
        };
        let message = format!("the tag `{original}` is unknown");
        let help = Some("leave it out: values are plain YAML".into());
        self.faults.push(Fault { code: "unknown-tag", range, message, help });
    }

    fn alias(&mut self, id: usize, range: Range, depth: usize) -> Result<Node, Stop> {
        self.aliases += 1;
        if self.aliases > self.limits.aliases {
            let message = format!("more than {} aliases in one file", self.limits.aliases);
            return Err(Box::new(fault("too-many-aliases", range, message)));
        }
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Box::new(fault("alias-in-itself", range, "an alias inside of what it stands for")));
        };
        let (nodes, height) = (anchored.nodes, anchored.height);
        self.spend(nodes, depth + height, &range)?;
        Ok(self.anchors[&id].node.clone())
    }

    /// Remembers an anchored node. The copy is paid for like any other node.
    fn keep(&mut self, anchor: usize, node: Node, depth: usize) -> Result<Node, Stop> {
        if anchor != 0 {
            let (nodes, height) = measure(&node);
            self.spend(nodes, depth, &node.range)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, height });
        }
        Ok(node)
    }

    fn spend(&mut self, nodes: usize, depth: usize, range: &Range) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            let message = format!("more than {} values in one file, aliases expanded", self.limits.nodes);
            return Err(Box::new(fault("too-many-values", range.clone(), message)));
        }
        if depth > self.limits.depth {
            let message = format!("nested more than {} levels deep", self.limits.depth);
            return Err(Box::new(fault("nested-too-deep", range.clone(), message)));
        }
        Ok(())
    }

    /// A block ends where the next thing starts: the blanks between belong to neither.
    fn end_of_text(&self, start: usize, end: usize) -> usize {
        let end = end.min(self.text.len());
        self.text.get(start..end).map_or(end, |text| start + text.trim_end().len())
    }
}

/// How many nodes a node is, and how many levels it has below itself.
fn measure(node: &Node) -> (usize, usize) {
    let children: Box<dyn Iterator<Item = &Node>> = match &node.content {
        Content::Scalar(_) => return (1, 0),
        Content::List(items) => Box::new(items.iter()),
        Content::Map(members) => Box::new(members.iter().map(|member| &member.node)),
    };
    children.map(measure).fold((1, 1), |(nodes, height), (n, h)| (nodes + n, height.max(h + 1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(text: &str) -> Vec<(&'static str, Range)> {
        let (_, faults) = parse(text.as_bytes(), Dialect::Strict, &Limits::DEFAULT);
        faults.into_iter().map(|fault| (fault.code, fault.range)).collect()
    }

    #[test]
    fn every_duplicate_key_is_found() {
        assert_eq!(
            faults("a: 1\na: 2\nb: {c: 1, c: 2}\n"),
            [("duplicate-key", 5..6), ("duplicate-key", 20..21)]
        );
    }

    #[test]
    fn an_alias_bomb_is_a_fault() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (this, last) in ('b'..='i').zip('a'..) {
            let uses = vec![format!("*{last}"); 10].join(", ");
            bomb += &format!("{this}: &{this} [{uses}]\n");
        }
        let found = faults(&bomb);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "too-many-values");
    }

    #[test]
    fn depth_is_limited_also_through_aliases_and_loops_are_found() {
        let deep = "[".repeat(10_000);
        assert_eq!(faults(&deep)[0].0, "nested-too-deep");
        assert_eq!(faults(&format!("{}x{}", "[".repeat(64), "]".repeat(64)))[0].0, "nested-too-deep");
        assert_eq!(faults(&format!("{}x{}", "[".repeat(63), "]".repeat(63))), []);
        let half = format!("{}x{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(
            faults(&format!("a: &a {half}\nb: {}*a{}\n", "[".repeat(40), "]".repeat(40)))[0].0,
            "nested-too-deep"
        );
        assert_eq!(faults("a: &a [*a]\n"), [("alias-in-itself", 7..9)]);
    }

    #[test]
    fn what_is_no_yaml_is_a_fault_with_its_place() {
        assert_eq!(faults("a: [1, 2\nb: 3\n")[0].0, "yaml-syntax");
        assert_eq!(faults("a:\n\tb: 1\n")[0], ("yaml-syntax", 3..4));
        assert_eq!(faults("a: *nobody\n")[0].0, "yaml-syntax");
        assert_eq!(faults("a: !secret x\n"), [("unknown-tag", 3..10)]);
        assert_eq!(faults("a: !list [x]\n"), [("unknown-tag", 3..8)]);
        assert_eq!(faults("? [a]\n: 1\n")[0].0, "key-not-text");
        let (_, found) = parse(b"a: \xff", Dialect::Strict, &Limits::DEFAULT);
        assert_eq!((found[0].code, found[0].range.clone()), ("not-utf8", 3..4));
    }

    #[test]
    fn a_stream_has_many_documents_and_empty_ones_count() {
        let (documents, faults) =
            parse(b"# c\n---\na: 1\n---\n---\nb: 2\n...\n", Dialect::Kubernetes, &Limits::DEFAULT);
        assert_eq!(faults, []);
        let values: Vec<_> = documents.into_iter().map(Node::into_value).collect();
        assert_eq!(values, [json!({"a": 1}), json!(null), json!({"b": 2})]);
    }

    #[test]
    fn keys_are_read_as_each_dialect_reads_values() {
        let text = b"on: 1\n0x10: 2\n";
        let read = |dialect| parse(text, dialect, &Limits::DEFAULT).0.remove(0).into_value();
        assert_eq!(read(Dialect::Strict), json!({"on": 1, "0x10": 2}));
        assert_eq!(read(Dialect::Kubernetes), json!({"true": 1, "16": 2}));
    }
}
