//! An event's view: what happened, and the object as it was then.

use super::object;
use crate::event::Event;
use serde_json::{Map, Value, json};

/// The version that objects and events look like.
const API_VERSION: &str = "2025-01-27.acacia";

pub(crate) fn event(event: &Event, id: &str, pending: usize) -> Value {
    let mut data = Map::from_iter([("object".to_owned(), object(&event.object))]);
    if let Some(before) = &event.before {
        let changed = differences(&object(before), &data["object"]);
        data.insert("previous_attributes".to_owned(), changed);
    }
    json!({
        "id": id, "object": "event", "api_version": API_VERSION, "created": event.at, "data": data,
        "livemode": false, "pending_webhooks": pending,
        "request": { "id": null, "idempotency_key": event.key.as_deref() }, "type": event.name,
    })
}

/// The old values of what changed.
fn differences(before: &Value, after: &Value) -> Value {
    let old = before.as_object().into_iter().flatten();
    let changed = old.filter(|(name, value)| after.get(name.as_str()) != Some(value));
    Value::Object(changed.map(|(name, value)| (name.clone(), value.clone())).collect())
}
