//! How the fields of a kind merge.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::set::Step;

/// How one field merges. What is not declared otherwise follows its value: maps merge key by key, lists are replaced.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) enum Shape {
    #[default]
    Open,
    /// Replaced as a whole.
    Atomic,
    /// A list of scalars, each an owner's own.
    Set,
    /// A map whose fields have shapes of their own.
    Object(Arc<Fields>),
    /// A list whose items are known by some of their fields.
    ListMap(Arc<ListMap>),
}

#[derive(Debug, Default)]
pub(in crate::sim) struct Fields {
    pub(super) named: BTreeMap<Cow<'static, str>, Shape>,
    /// Of all other keys.
    pub(super) others: Shape,
}

#[derive(Debug)]
pub(in crate::sim) struct ListMap {
    /// The fields that name an item, with the value that an absent one stands for.
    pub(super) keys: Vec<(Cow<'static, str>, Option<Value>)>,
    pub(super) item: Shape,
}

static OPEN: Shape = Shape::Open;

impl Shape {
    pub(in crate::sim) fn object(fields: impl IntoIterator<Item = (&'static str, Shape)>) -> Self {
        let named = fields.into_iter().map(|(name, shape)| (Cow::Borrowed(name), shape)).collect();
        Self::Object(Arc::new(Fields { named, others: Self::Open }))
    }

    pub(in crate::sim) fn map_of(others: Self) -> Self {
        Self::Object(Arc::new(Fields { named: BTreeMap::new(), others }))
    }

    pub(in crate::sim) fn list(keys: &[&'static str], item: Self) -> Self {
        let key = |name: &&'static str| (Cow::Borrowed(*name), (*name == "protocol").then(|| "TCP".into()));
        Self::ListMap(Arc::new(ListMap { keys: keys.iter().map(key).collect(), item }))
    }

    pub(in crate::sim) fn field(&self, name: &str) -> &Self {
        match self {
            Self::Object(fields) => fields.named.get(name).unwrap_or(&fields.others),
            _ => &OPEN,
        }
    }

    /// The map's entries, if this value merges key by key.
    pub(super) fn granular<'a>(
        &self,
        value: Option<&'a Value>,
    ) -> Option<&'a serde_json::Map<String, Value>> {
        match (self, value) {
            (Self::Open | Self::Object(_), Some(Value::Object(map))) => Some(map),
            _ => None,
        }
    }

    /// The list's items with their names, if this value merges item by item.
    pub(super) fn items<'a>(&self, value: Option<&'a Value>) -> Option<Vec<(Step, &'a Value)>> {
        let Some(Value::Array(list)) = value else { return None };
        match self {
            Self::Set => Some(list.iter().map(|item| (Step::Item(item.to_string()), item)).collect()),
            Self::ListMap(map) => Some(list.iter().map(|item| (map.step(item), item)).collect()),
            _ => None,
        }
    }

    /// The shape of the items of a list that merges.
    pub(super) fn item(&self) -> &Self {
        match self {
            Self::ListMap(map) => &map.item,
            _ => &OPEN,
        }
    }
}

impl ListMap {
    /// The name of an item among its siblings.
    pub(super) fn step(&self, item: &Value) -> Step {
        let value = |(name, default): &(Cow<'static, str>, Option<Value>)| {
            let value = item.get(&**name).or(default.as_ref()).cloned().unwrap_or_default();
            (name.to_string(), value)
        };
        let keys: BTreeMap<String, Value> = self.keys.iter().map(value).collect();
        Step::Key(serde_json::to_string(&keys).expect("a map with text for keys is JSON"))
    }

    /// The field by which strategic merge patches know an item.
    pub(in crate::sim) fn patch_key(&self) -> &str {
        self.keys.first().map_or("name", |(name, _)| name)
    }

    pub(in crate::sim) fn item_shape(&self) -> &Shape {
        &self.item
    }
}
