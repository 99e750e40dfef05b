//! Numbers with their units.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a number in the unit that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct UnitError {
    pub text: String,
    pub wanted: &'static str,
}

/// CPU in thousandths of a core; written as Kubernetes writes it: `2`, `500m`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub u64);

/// Bytes of memory or storage; written as Kubernetes writes them: `512Mi`, `7160844288`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// Bits per second; `1G` and `52500M` are accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth(pub u64);

/// A round trip in microseconds; written `40ms`, `1.5s`, `250us`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Latency(pub u64);

/// A stretch of time in milliseconds; written `5s`, `10m`, `1h`, `250ms`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// Currency per hour; never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Money(pub f64);

/// kWh per vCPU-hour; never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct EnergyRate(pub f64);

impl Latency {
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1000)
    }

    pub fn as_ms(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Span {
    pub fn as_hours(self) -> f64 {
        self.as_duration().as_secs_f64() / 3600.0
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

/// A Kubernetes quantity in thousandths of its unit, rounded up as Kubernetes does.
fn quantity_milli(text: &str) -> Option<u128> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    // `1e3` and `1E3` are exponents; `1E` is exa.
    let scale: (u128, u128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1_000),
        "m" => (1, 1),
        "" => (1_000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1_000 << 10, 1),
        "Mi" => (1_000 << 20, 1),
        "Gi" => (1_000 << 30, 1),
        "Ti" => (1_000 << 40, 1),
        "Pi" => (1_000 << 50, 1),
        "Ei" => (1_000 << 60, 1),
        exponent => {
            let power: u32 = exponent.strip_prefix(['e', 'E'])?.parse().ok().filter(|p| *p <= 18)?;
            (1_000 * 10u128.pow(power), 1)
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 || fraction.len() > 9 {
        return None;
    }
    let digits: u128 = format!("0{whole}{fraction}").parse().ok()?;
    let divisor = scale.1 * 10u128.pow(fraction.len() as u32);
    Some(digits.checked_mul(scale.0)?.div_ceil(divisor))
}

fn time_us(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        "h" => 3.6e9,
        "d" => 8.64e10,
        _ => return None,
    };
    let us = number.parse::<f64>().ok()? * scale;
    (us.is_finite() && us <= 1e15).then_some(us.round() as u64)
}

macro_rules! textual {
    ($name:ident, $wanted:literal, $types:tt, $pattern:literal, $parse:expr, $show:expr) => {
        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                let parse: fn(&str) -> Option<u64> = $parse;
                parse(text).map(Self).ok_or_else(|| UnitError { text: text.chars().take(64).collect(), wanted: $wanted })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(u64) -> String = $show;
                f.write_str(&show(self.0))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $wanted,
                    "type": $types,
                    "format": stringify!($name),
                    "pattern": $pattern,
                    "minimum": 0,
                })
            }
        }
    };
}

textual!(
    Cpu,
    "an amount of CPU, such as 2 or 500m",
    ["string", "number"],
    r"^[0-9.]+([numkMGTPE]|[eE][0-9]+|)$",
    |text| u64::try_from(quantity_milli(text)?).ok(),
    |milli| if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") }
);
textual!(
    Bytes,
    "an amount of bytes, such as 512Mi or 7160844288",
    ["string", "number"],
    r"^[0-9.]+([numkMGTPE]|[KMGTPE]i|[eE][0-9]+|)$",
    |text| u64::try_from(quantity_milli(text)?.div_ceil(1000)).ok(),
    |bytes| {
        let unit = [(60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")];
        match unit.iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
            Some((shift, suffix)) => format!("{}{suffix}", bytes >> shift),
            None => bytes.to_string(),
        }
    }
);
textual!(
    Bandwidth,
    "bits per second, such as 52500M or 1G",
    ["string", "number"],
    r"^[0-9.]+([kMGTPE]|[eE][0-9]+|)$",
    |text| u64::try_from(quantity_milli(text)?.div_ceil(1000)).ok(),
    |bits| {
        let unit = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
        match unit.iter().find(|(scale, _)| bits != 0 && bits % scale == 0) {
            Some((scale, suffix)) => format!("{}{suffix}", bits / scale),
            None => bits.to_string(),
        }
    }
);
textual!(
    Latency,
    "a duration, such as 40ms or 1.5s",
    "string",
    r"^[0-9.]+(us|µs|ms|s)$",
    time_us,
    |us| if us % 1_000_000 == 0 && us != 0 {
        format!("{}s", us / 1_000_000)
    } else if us % 1000 == 0 {
        format!("{}ms", us / 1000)
    } else {
        format!("{us}us")
    }
);
textual!(
    Span,
    "a duration, such as 5s, 10m or 1h",
    "string",
    r"^[0-9.]+(ms|s|m|h|d)$",
    |text| Some(time_us(text)? / 1000),
    |ms| match ms {
        ms if ms != 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms != 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
);

macro_rules! rate {
    ($name:ident, $wanted:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = f64::deserialize(deserializer)?;
                match number.is_finite() && number >= 0.0 {
                    true => Ok(Self(number)),
                    false => Err(de::Error::custom(concat!("expected ", $wanted, ", zero or more"))),
                }
            }
        }

        /// For labels and annotations of nodes, where everything is text.
        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                match text.trim().parse::<f64>() {
                    Ok(number) if number.is_finite() && number >= 0.0 => Ok(Self(number)),
                    _ => Err(UnitError { text: text.chars().take(64).collect(), wanted: $wanted }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $wanted, "type": "number", "minimum": 0 })
            }
        }
    };
}

rate!(Money, "currency per hour");
rate!(EnergyRate, "kWh per vCPU-hour");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_kubernetes_reads_them() {
        for (text, milli) in [
            ("2", 2000),
            ("500m", 500),
            ("0.5", 500),
            ("1.5", 1500),
            ("100u", 1),
            ("1k", 1_000_000),
            ("2e3", 2_000_000),
        ] {
            assert_eq!(text.parse::<Cpu>(), Ok(Cpu(milli)), "{text}");
        }
        for (text, bytes) in [
            ("7160844288", 7_160_844_288),
            ("512Mi", 512 << 20),
            ("1.5Gi", 3 << 29),
            ("1M", 1_000_000),
            ("100m", 1),
        ] {
            assert_eq!(text.parse::<Bytes>(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", ".", "-1", "1x", "1 Gi", "Mi", "1e99", "NaN", "99999999999999999999999"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for value in [0, 1, 999, 1000, 1024, 1500, 7_160_844_288, u64::MAX / 2048] {
            assert_eq!(Cpu(value).to_string().parse(), Ok(Cpu(value)));
            assert_eq!(Bytes(value).to_string().parse(), Ok(Bytes(value)));
            assert_eq!(Bandwidth(value).to_string().parse(), Ok(Bandwidth(value)));
        }
        for value in [0, 1, 250, 1000, 40_000, 1_500_000, 2_000_000] {
            assert_eq!(Latency(value).to_string().parse(), Ok(Latency(value)));
            assert_eq!(Span(value).to_string().parse(), Ok(Span(value)));
        }
    }
}
