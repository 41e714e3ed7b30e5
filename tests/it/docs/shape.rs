//! Whether an answer is as a page shows it: the same fields of the same kinds, and the same words.

use serde_json::Value;

/// The last JSON that some output ends with.
pub(super) fn last_json(output: &str) -> Option<Value> {
    let starts = output.match_indices('{').map(|(at, _)| &output[at..]);
    starts.into_iter().find_map(|rest| {
        let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(rest).into_iter().collect();
        values.ok()?.pop()
    })
}

/// Where the answer is not as it is shown; an answer may have more fields.
pub(super) fn differences(shown: &Value, answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", shown, answer, &mut found);
    found
}

fn compare(at: &str, shown: &Value, answer: &Value, found: &mut Vec<String>) {
    match (shown, answer) {
        (Value::Object(fields), Value::Object(answered)) => {
            for (name, shown) in fields {
                let at = format!("{at}.{name}");
                match answered.get(name) {
                    Some(answer) => compare(&at, shown, answer, found),
                    None => found.push(format!("{at} is not there")),
                }
            }
        }
        (Value::Array(items), Value::Array(answered)) => {
            for (n, shown) in items.iter().enumerate() {
                let at = format!("{at}[{n}]");
                match answered.get(n) {
                    Some(answer) => compare(&at, shown, answer, found),
                    None => found.push(format!("{at} is not there")),
                }
            }
        }
        (Value::String(text), Value::String(answer)) if is_word(text) && text != answer => {
            found.push(format!("{at} is {answer:?}, not {text:?}"));
        }
        (Value::Bool(shown), Value::Bool(answer)) if shown != answer => {
            found.push(format!("{at} is {answer}, not {shown}"));
        }
        _ if std::mem::discriminant(shown) != std::mem::discriminant(answer) => {
            found.push(format!("{at} is {answer}, not like {shown}"));
        }
        _ => {}
    }
}

/// A status or a code, which is told as it is; ids, moments and what is shortened differ each time.
fn is_word(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_')
}

#[test]
fn an_answer_is_compared_by_its_fields_kinds_and_words() {
    let said =
        "curl says {\n{\"a\":1}\n{ \"status\": \"failed\", \"id\": \"pay_2\", \"n\": 2, \"list\": [] }\n";
    let shown = serde_json::json!({
        "status": "succeeded", "id": "pay_0199...", "n": "2", "list": [1], "more": true,
    });

    let found = differences(&shown, &last_json(said).unwrap());

    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(last_json("nothing"), None);
}
