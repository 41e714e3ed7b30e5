//! Handlers as they describe themselves: each type among a handler's arguments, and the type of its answer, adds its
//! part to the description of the call.

use super::{Api, operation::Operation, problem::Problem};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};

/// What stands among a handler's arguments.
pub(super) trait Input {
    fn describe(operation: &mut Operation<'_>);
}

/// What a handler answers with.
pub(super) trait Output {
    fn describe(operation: &mut Operation<'_>);
}

/// A handler of which each part is described.
pub(super) trait Described<Arguments> {
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! described {
    ($($argument:ident)*) => {
        impl<F, R, $($argument,)*> Described<($($argument,)*)> for F
        where
            F: FnOnce($($argument,)*) -> R,
            R: Future,
            R::Output: Output,
            $($argument: Input,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($argument::describe(operation);)*
                R::Output::describe(operation);
            }
        }
    };
}

described! {}
described! { A }
described! { A B }
described! { A B C }
described! { A B C D }
described! { A B C D E }

impl Input for State<Api> {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T> Input for Extension<T> {
    fn describe(_: &mut Operation<'_>) {}
}

/// A gateway's headers, which are its own.
impl Input for HeaderMap {
    fn describe(operation: &mut Operation<'_>) {
        operation.is_foreign();
    }
}

impl<T: Output> Output for Result<T, Problem> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        operation.refuses(StatusCode::INTERNAL_SERVER_ERROR, &["internal"]);
        operation.refuses(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
    }
}
