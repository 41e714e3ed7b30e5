//! What is told: the views that answers are made of, so that a handler's type says what it answers.

use super::{described::Output, operation::Operation};
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::marker::PhantomData;

/// What callers see of a thing.
pub(super) trait Shown {
    type View<'a>: Serialize + JsonSchema;
}

/// An answer that shows a `T`.
#[derive(Debug)]
pub(super) struct Told<T>(Response, PhantomData<fn() -> T>);

impl<T: Shown> Told<T> {
    pub(super) fn of(view: &T::View<'_>) -> Self {
        Self(Json(view).into_response(), PhantomData)
    }

    /// Whether it happened now; it is a 200 each time, and a header tells (S2.4).
    pub(super) fn fresh(self, fresh: bool) -> Self {
        Self(if fresh { self.0 } else { replayed(self.0) }, PhantomData)
    }
}

impl<T> IntoResponse for Told<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: Shown> Output for Told<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.tells::<T::View<'static>>(StatusCode::OK);
    }
}

/// An answer that shows a `T` that was made.
#[derive(Debug)]
pub(super) struct Created<T>(Response, PhantomData<fn() -> T>);

impl<T: Shown> Created<T> {
    pub(super) fn of(view: &T::View<'_>) -> Self {
        Self((StatusCode::CREATED, Json(view)).into_response(), PhantomData)
    }

    /// Whether it was made now; it is a 201 each time, and a header tells (S2.4).
    pub(super) fn fresh(self, fresh: bool) -> Self {
        Self(if fresh { self.0 } else { replayed(self.0) }, PhantomData)
    }

    pub(super) fn with(mut self, header: &'static str, value: &'static str) -> Self {
        let header = HeaderName::from_static(header);
        self.0.headers_mut().insert(header, HeaderValue::from_static(value));
        self
    }
}

impl<T> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: Shown> Output for Created<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.tells::<T::View<'static>>(StatusCode::CREATED);
    }
}

fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}
