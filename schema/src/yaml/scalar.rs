//! What a scalar means: a text, a number, a truth or nothing.

use serde_json::{Number, Value};

use super::Dialect;

/// The value of a plain scalar; `None` if it is a number that JSON does not know, such as `.inf`.
pub(super) fn plain(text: &str, dialect: Dialect) -> Option<Value> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::Kubernetes => {
            true.into()
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::Kubernetes => {
            false.into()
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan"
        | ".NaN" | ".NAN" => return None,
        text if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => {
            let number = match dialect {
                Dialect::Strict => strict_number(text),
                Dialect::Kubernetes => kubernetes_number(text),
            };
            return match number {
                Some(number) => Some(Value::Number(number?)),
                None => Some(text.into()),
            };
        }
        text => text.into(),
    };
    Some(value)
}

/// A number of the core schema of YAML 1.2, save those with leading zeros, which the two YAMLs read apart:
/// they are texts. The inner `None` is a number that is too large.
fn strict_number(text: &str) -> Option<Option<Number>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if leading_zero {
        return None;
    }
    match digits.get(..2) {
        Some("0x") => integer(text, digits.get(2..)?, 16),
        Some("0o") => integer(text, digits.get(2..)?, 8),
        _ => decimal(text),
    }
}

/// A number as Go's `strconv` and go-yaml v2 understand it.
fn kubernetes_number(text: &str) -> Option<Option<Number>> {
    let text = text.replace('_', "");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let based = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => Some((2, 16)),
        Some("0o") => Some((2, 8)),
        Some("0b") => Some((2, 2)),
        _ if digits.starts_with('0') && digits.len() > 1 => Some((1, 8)),
        _ => None,
    };
    let based = based.and_then(|(skip, radix)| integer(&text, &digits[skip..], radix));
    based.or_else(|| decimal(&text))
}

fn integer(text: &str, digits: &str, radix: u32) -> Option<Option<Number>> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok();
    let value = magnitude.map(|value| if text.starts_with('-') { -value } else { value });
    Some(value.and_then(Number::from_i128))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn decimal(text: &str) -> Option<Option<Number>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        let whole = text.strip_prefix('+').unwrap_or(text);
        let exact =
            whole.parse::<u64>().map(Number::from).or_else(|_| whole.parse::<i64>().map(Number::from));
        return Some(exact.ok().or_else(|| Number::from_f64(whole.parse().ok()?)));
    }
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let shaped = all_digits(whole) && all_digits(fraction) && all_digits(exponent) && !exponent.is_empty();
    if !shaped || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let float: f64 = text.parse().ok()?;
    // Kubernetes carries numbers as JSON, where 1e3 and 1000 are one number; so do we.
    let exact = float.fract() == 0.0 && float.abs() < 9e15;
    Some(if exact { Some(Number::from(float as i64)) } else { Number::from_f64(float) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn our_documents_are_read_as_yaml_1_2() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("12:30:45", json!("12:30:45")),
            ("0777", json!("0777")),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("1_000", json!("1_000")),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0", json!(0)),
            ("0.5", json!(0.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000)),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            (".", json!(".")),
            ("18446744073709551615", json!(u64::MAX)),
            ("2001-01-01", json!("2001-01-01")),
        ] {
            assert_eq!(plain(text, Dialect::Strict), Some(value), "{text}");
        }
        assert_eq!(plain(".inf", Dialect::Strict), None);
    }

    #[test]
    fn manifests_are_read_as_kubectl_reads_them() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!(true)),
            ("0777", json!(511)),
            ("0o777", json!(511)),
            ("08", json!(8)),
            ("0b11", json!(3)),
            ("-0x10", json!(-16)),
            ("1_000", json!(1000)),
            ("1e3", json!(1000)),
            ("12:30:45", json!("12:30:45")),
            ("1.20.2", json!("1.20.2")),
            ("500m", json!("500m")),
            ("0x", json!("0x")),
            ("99999999999999999999", json!(1e20)),
        ] {
            assert_eq!(plain(text, Dialect::Kubernetes), Some(value), "{text}");
        }
    }
}
