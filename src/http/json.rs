//! JSON as the API takes it, with what is wrong told as a problem.

use super::problem::Problem;
use crate::domain::json::{self, Fault, Misread};
use axum::http::StatusCode;
use serde::{Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Reads a whole body; what its fields mean is for [`part`].
pub(super) fn read(body: &[u8]) -> Result<Value, Problem> {
    Ok(json::read(body)?)
}

/// Reads the fields of an object.
pub(super) fn part<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    Ok(json::part(value)?)
}

/// An amount that may be left out.
pub(super) fn optional_minor_units<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    dunlin_jobs::minor_units(deserializer).map(Some)
}

impl From<Misread> for Problem {
    fn from(misread: Misread) -> Self {
        let status = match misread.fault {
            Fault::Text => StatusCode::BAD_REQUEST,
            Fault::Meaning => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, misread.code, misread.detail);
        match misread.param {
            Some(param) => problem.about(param),
            None => problem,
        }
    }
}
