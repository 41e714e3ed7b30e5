//! Routes: each path with its handlers and their descriptions. There is no other way to a route, so none is without
//! its description.

use super::{
    Api,
    described::Described,
    openapi::{self, Document, Takes},
    operation::{Operation, Words},
    strict,
};
use axum::{
    Extension, Router,
    handler::Handler,
    middleware,
    routing::{self, MethodRouter},
};
use std::sync::Arc;

/// The routes of one subject.
#[derive(Debug)]
pub(super) struct Routes {
    router: Router<Api>,
    calls: Vec<Call>,
    tag: &'static str,
}

/// A call, ready to be described.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) tag: &'static str,
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) words: Words,
    pub(super) describe: Describe,
    pub(super) max_body_bytes: Option<usize>,
}

type Describe = fn(&mut Operation<'_>);

/// What a path takes.
#[derive(Debug)]
pub(super) struct Methods {
    router: MethodRouter<Api>,
    described: Vec<(&'static str, Words, Describe)>,
}

pub(super) fn get<H, M, A>(handler: H, words: Words) -> Methods
where
    H: Handler<M, Api> + Described<A>,
    M: 'static,
{
    Methods { router: routing::get(handler), described: vec![("get", words, H::describe)] }
}

pub(super) fn post<H, M, A>(handler: H, words: Words) -> Methods
where
    H: Handler<M, Api> + Described<A>,
    M: 'static,
{
    Methods { router: routing::post(handler), described: vec![("post", words, H::describe)] }
}

pub(super) fn patch<H, M, A>(handler: H, words: Words) -> Methods
where
    H: Handler<M, Api> + Described<A>,
    M: 'static,
{
    Methods { router: routing::patch(handler), described: vec![("patch", words, H::describe)] }
}

impl Methods {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.described.extend(other.described);
        Self { router: self.router.merge(other.router), described: self.described }
    }
}

impl Routes {
    pub(super) fn about(tag: &'static str) -> Self {
        Self { router: Router::new(), calls: Vec::new(), tag }
    }

    pub(super) fn route(mut self, path: &'static str, methods: Methods) -> Self {
        let tag = self.tag;
        let call =
            |(method, words, describe)| Call { tag, path, method, words, describe, max_body_bytes: None };
        self.calls.extend(methods.described.into_iter().map(call));
        Self { router: self.router.route(path, methods.router), ..self }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.calls.extend(other.calls);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// How large the bodies of these routes may be.
    pub(super) fn at_most(mut self, bytes: usize) -> Self {
        for call in &mut self.calls {
            call.max_body_bytes = Some(bytes);
        }
        Self { router: self.router.layer(Extension(super::extract::Limit(bytes))), ..self }
    }

    /// The router, with the routes that tell what all of them are.
    pub(super) fn finish(self) -> Router<Api> {
        let all = self.merge(openapi::routes());
        let document = Document::of(&all.calls);
        let takes = Takes::by(&all.calls);
        let strict = middleware::from_fn(strict::check);
        all.router.route_layer(strict).layer(Extension(Arc::new(takes))).layer(Extension(Arc::new(document)))
    }
}
