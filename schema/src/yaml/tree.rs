//! A YAML document as a tree that remembers where everything stands.

use std::ops;

use serde_json::{Map, Value};

/// Bytes of a file, half-open.
pub type Range = ops::Range<usize>;

/// A value and where it stands. What comes from an alias stands where it was defined.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub range: Range,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub key: String,
    pub key_range: Range,
    pub node: Node,
}

/// Which end of a member a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
}

impl Node {
    pub fn is_null(&self) -> bool {
        self.content == Content::Scalar(Value::Null)
    }

    pub fn into_value(self) -> Value {
        match self.content {
            Content::Scalar(value) => value,
            Content::List(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
            Content::Map(members) => {
                let members = members.into_iter().map(|member| (member.key, member.node.into_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// The bytes that a finding at a JSON pointer (RFC 6901) underlines; where nothing stands there, those of
    /// the nearest thing around it. Of a block of lines only the key is underlined.
    pub fn locate(&self, pointer: &str, part: Part) -> Range {
        let mut node = self;
        let mut key = None;
        let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
        for step in steps {
            match &node.content {
                Content::Map(members) => match members.iter().find(|member| member.key == step) {
                    Some(member) => (key, node) = (Some(&member.key_range), &member.node),
                    None => return node.underline(key),
                },
                Content::List(items) => match step.parse().ok().and_then(|index: usize| items.get(index)) {
                    Some(item) => (key, node) = (None, item),
                    None => return node.underline(key),
                },
                Content::Scalar(_) => return node.underline(key),
            }
        }
        match (part, key) {
            (Part::Key, Some(key)) => key.clone(),
            _ => node.underline(key),
        }
    }

    fn underline(&self, key: Option<&Range>) -> Range {
        match (&self.content, key) {
            (Content::Scalar(value), Some(key)) if value.is_null() => key.clone(),
            (Content::Scalar(_), _) => self.range.clone(),
            (_, Some(key)) => key.clone(),
            (Content::Map(members), None) => {
                members.first().map_or_else(|| self.range.clone(), |first| first.key_range.clone())
            }
            (Content::List(items), None) => {
                items.first().map_or_else(|| self.range.clone(), |first| first.underline(None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::{Dialect, Limits, parse};

    fn one(text: &str) -> Node {
        let (mut documents, faults) = parse(text.as_bytes(), Dialect::Strict, &Limits::DEFAULT);
        assert_eq!(faults, []);
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    #[test]
    fn pointers_lead_to_keys_and_values() {
        let text = "a: 1\nb:\n  - c: x/y\n    \"d/e\": [2, 30]\n  - ä: ö # end\n";
        let tree = one(text);
        let at = |pointer, part| &text[tree.locate(pointer, part)];
        assert_eq!(at("/a", Part::Value), "1");
        assert_eq!(at("/a", Part::Key), "a");
        assert_eq!(at("/b", Part::Value), "b");
        assert_eq!(at("/b/0", Part::Value), "c");
        assert_eq!(at("/b/0/c", Part::Value), "x/y");
        assert_eq!(at("/b/0/d~1e/1", Part::Value), "30");
        assert_eq!(at("/b/0/d~1e", Part::Key), "\"d/e\"");
        assert_eq!(at("/b/1/ä", Part::Value), "ö");
        assert_eq!(at("/b/1/missing/deeper", Part::Value), "ä");
        assert_eq!(at("", Part::Value), "a");
    }

    #[test]
    fn a_tree_becomes_the_value_that_it_says() {
        let text = "base: &base {x: 1, y: [1, 2]}\nuse:\n  <<: *base\n  x: 2\ncopy: *base\n";
        let value = one(text).into_value();
        let wanted = json!({
            "base": {"x": 1, "y": [1, 2]}, "use": {"x": 2, "y": [1, 2]}, "copy": {"x": 1, "y": [1, 2]}
        });
        assert_eq!(value, wanted);
    }
}
