//! Who calls, and whether they may: every handler names the scope that it needs in the type of its caller.

use super::{Api, described::Input, operation::Operation, problem::Problem};
use crate::{
    domain::scope::Scope,
    store::{KeyHolder, Owner},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use secrecy::SecretString;
use std::{marker::PhantomData, time::Instant};

/// Whoever has a valid API key with the scope `N`. It stands before a handler's other arguments, so that nobody
/// learns more than that the scope is missing.
#[derive(Debug)]
pub(super) struct Caller<N> {
    pub(super) owner: Owner,
    pub(super) holder: KeyHolder,
    need: PhantomData<N>,
}

/// A scope, as a type.
pub(super) trait Need: Send {
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($name:ident)*) => {$(
        #[derive(Debug)]
        pub(super) struct $name;

        impl Need for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )*};
}

needs! {
    PaymentsRead PaymentsWrite RefundsWrite CustomersRead CustomersWrite JobsRead JobsOperate Admin ApproveUnknown
}

impl<N: Need> FromRequestParts<Api> for Caller<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let holder = holder(&parts.headers, api).await?;
        let request = parts.extensions.get().copied();
        let holder = KeyHolder { request, ..holder };
        if !api.rates.admit(holder.key, Instant::now()) {
            let detail = "the API key makes more requests than it may: wait for a second, and send many payments \
                          at a time with /v1/payments/batch";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail));
        }
        if !holder.scopes.allow(N::SCOPE) {
            let scope = N::SCOPE;
            let detail =
                format!("this needs the scope {scope}, which the API key does not have: use one that has it");
            return Err(Problem::insufficient_scope(scope, detail).about("Authorization"));
        }
        Ok(Self { owner: holder.owner, holder, need: PhantomData })
    }
}

impl<N: Need> Input for Caller<N> {
    fn describe(operation: &mut Operation<'_>) {
        operation.needs(N::SCOPE);
        operation.refuses(StatusCode::UNAUTHORIZED, &["unauthorized"]);
        operation.refuses(StatusCode::FORBIDDEN, &["insufficient_scope"]);
        operation.refuses(StatusCode::TOO_MANY_REQUESTS, &["rate_limited"]);
    }
}

async fn holder(headers: &HeaderMap, api: &Api) -> Result<KeyHolder, Problem> {
    let unauthorized =
        |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).about("Authorization");
    let secret = credential(headers).ok_or_else(|| {
        unauthorized("send your API key as `Authorization: Bearer dk_test_...` or as `x-api-key`")
    })?;
    let holder = api.lookups.find(&api.flows, secret).await?;
    holder.ok_or_else(|| {
        unauthorized("the API key is unknown, expired or revoked: check it, or create another")
    })
}

fn credential(headers: &HeaderMap) -> Option<SecretString> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| text("x-api-key")).filter(|token| !token.is_empty()).map(SecretString::from)
}
