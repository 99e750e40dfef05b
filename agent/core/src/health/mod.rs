//! How an object does, by the rules of kstatus, and what that means for its component.

mod builtin;
mod pod;

use qonnect_schema::documents::snapshot::Health;
use qonnect_schema::manifest::ObjectId;
use serde_json::Value;

pub use pod::trouble;

/// How one object does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    pub health: Health,
    /// One word for machines; empty when Ready.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Assessment {
    pub fn ready() -> Self {
        Self { health: Health::Ready, reason: String::new(), message: String::new() }
    }

    pub fn reconciling(reason: &str, message: impl Into<String>) -> Self {
        Self { health: Health::Reconciling, reason: reason.into(), message: message.into() }
    }

    pub fn terminating(message: impl Into<String>) -> Self {
        Self { health: Health::Terminating, reason: "Terminating".into(), message: message.into() }
    }

    pub fn stalled(reason: &str, message: impl Into<String>) -> Self {
        Self { health: Health::Stalled, reason: reason.into(), message: message.into() }
    }
}

/// Judges a live object.
pub fn assess(id: &ObjectId, object: &Value) -> Assessment {
    if let Some(going) = terminating(object) {
        return going;
    }
    if let Some(unseen) = unobserved(object) {
        return unseen;
    }
    if let Some(stalled) = Condition::of(object, "Stalled").filter(Condition::is_true) {
        return stalled.stalled();
    }
    if let Some(reconciling) = Condition::of(object, "Reconciling").filter(Condition::is_true) {
        return reconciling.reconciling();
    }
    builtin::assess(id, object).unwrap_or_else(|| generic(object))
}

fn terminating(object: &Value) -> Option<Assessment> {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].as_str()?;
    let finalizers: Vec<&str> =
        metadata["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Some(Assessment::terminating(match finalizers.is_empty() {
        true => "it is being deleted".to_string(),
        false => format!("it is being deleted and waits for {}", finalizers.join(", ")),
    }))
}

fn unobserved(object: &Value) -> Option<Assessment> {
    let generation = object["metadata"]["generation"].as_i64()?;
    let observed = object["status"]["observedGeneration"].as_i64()?;
    (observed < generation).then(|| {
        Assessment::reconciling(
            "NotObserved",
            format!("generation {generation} is not seen by its controller yet"),
        )
    })
}

/// Custom resources: `Ready` decides where it exists, and what says nothing is fine.
fn generic(object: &Value) -> Assessment {
    match Condition::of(object, "Ready") {
        Some(condition) if !condition.is_true() => condition.reconciling(),
        _ => Assessment::ready(),
    }
}

/// One of `status.conditions`.
#[derive(Debug, Clone, Copy)]
struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Condition<'a> {
    fn all(object: &'a Value) -> impl Iterator<Item = Self> {
        object["status"]["conditions"].as_array().into_iter().flatten().map(|condition| {
            let text = |name: &str| condition[name].as_str().unwrap_or_default();
            Self {
                kind: text("type"),
                status: text("status"),
                reason: text("reason"),
                message: text("message"),
            }
        })
    }

    fn of(object: &'a Value, kind: &str) -> Option<Self> {
        Self::all(object).find(|condition| condition.kind == kind)
    }

    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn word(&self) -> &'a str {
        if self.reason.is_empty() { self.kind } else { self.reason }
    }

    fn reconciling(&self) -> Assessment {
        Assessment::reconciling(self.word(), self.message)
    }

    fn stalled(&self) -> Assessment {
        Assessment::stalled(self.word(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The health and reason of an object of a kind.
    pub(super) fn judged(group: &str, kind: &str, object: Value) -> (Health, String) {
        let id = ObjectId { group: group.into(), kind: kind.into(), namespace: "a".into(), name: "b".into() };
        let assessment = assess(&id, &object);
        (assessment.health, assessment.reason)
    }

    #[test]
    fn custom_resources_are_judged_by_their_conditions() {
        let condition = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status, "reason": "Why", "message": "text"}]}});
        for (object, health) in [
            (json!({}), Health::Ready),
            (condition("Ready", "True"), Health::Ready),
            (condition("Ready", "False"), Health::Reconciling),
            (condition("Ready", "Unknown"), Health::Reconciling),
            (condition("Reconciling", "True"), Health::Reconciling),
            (condition("Stalled", "True"), Health::Stalled),
            (condition("Stalled", "False"), Health::Ready),
            (
                json!({"metadata": {"generation": 3}, "status": {"observedGeneration": 2}}),
                Health::Reconciling,
            ),
            (json!({"metadata": {"generation": 3}, "status": {"observedGeneration": 3}}), Health::Ready),
        ] {
            assert_eq!(judged("example.com", "Lamp", object.clone()).0, health, "{object}");
        }
    }

    #[test]
    fn what_is_being_deleted_names_what_it_waits_for() {
        let object =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
        let id = ObjectId { group: "".into(), kind: "Pod".into(), namespace: "a".into(), name: "b".into() };
        let assessment = assess(&id, &object);
        assert_eq!(assessment.health, Health::Terminating);
        assert!(assessment.message.contains("a/b"));
    }
}
