//! The last lines of each of our messages: who decided what, and on which grounds.

use std::fmt;

use qonnect_schema::{Epoch, Origin};

const EPOCH: &str = "Qonnect-Epoch";
const GROUP: &str = "Qonnect-Group";
const REVISION: &str = "Qonnect-Revision";
const KB_INDEX: &str = "Qonnect-KB-Index";
const INTENT: &str = "Qonnect-Intent";
/// Below the others, where people were asked.
pub(super) const APPROVED_BY: &str = "Qonnect-Approved-By";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailers {
    pub epoch: Epoch,
    pub group: String,
    /// The commit of the spec branch; empty for a barrier.
    pub revision: String,
    pub kb_index: u64,
    pub intent: String,
}

impl Trailers {
    /// `None` for a message that is not ours: it lacks one of them.
    pub fn parse(message: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = message.lines().rev().map_while(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
        };
        Some(Self {
            epoch: value(EPOCH)?.parse().ok()?,
            group: value(GROUP)?,
            revision: value(REVISION).unwrap_or_default(),
            kb_index: value(KB_INDEX)?.parse().ok()?,
            intent: value(INTENT)?,
        })
    }

    pub fn origin(&self) -> Origin {
        Origin { group: self.group.clone(), epoch: self.epoch }
    }
}

impl fmt::Display for Trailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, group, revision, kb_index, intent } = self;
        writeln!(f, "{EPOCH}: {epoch}\n{GROUP}: {group}")?;
        if !revision.is_empty() {
            writeln!(f, "{REVISION}: {revision}")?;
        }
        writeln!(f, "{KB_INDEX}: {kb_index}\n{INTENT}: {intent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let trailers = Trailers {
            epoch: Epoch { era: 1, term: 2, node: 3 },
            group: "g".into(),
            revision: "r".into(),
            kb_index: 4,
            intent: "i".into(),
        };
        let message = format!("place shop: web -> fog\n\nplace shop: db -> fog\n\n{trailers}");
        assert_eq!(Trailers::parse(&message), Some(trailers.clone()));
        let barrier = Trailers { revision: String::new(), ..trailers };
        assert_eq!(Trailers::parse(&format!("begin\n\n{barrier}")), Some(barrier));
        assert_eq!(Trailers::parse("a commit of a person\n\nQonnect-Epoch: 9.9.9\n"), None);
        assert_eq!(Trailers::parse(&format!("Revert\n\nThis reverts:\n{message}\nfor a reason")), None);
    }
}
