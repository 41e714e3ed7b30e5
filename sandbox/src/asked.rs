//! What was asked, as far as faults choose by it: the request, and the intent that it names.

use crate::{auth, books::Books, form::Form, intent::Intent, message::Request, operation::Operation};

#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub operation: Operation,
    pub key: Option<&'a str>,
    form: Form,
    intent: Option<&'a Intent>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(request: &'a Request, books: &'a Books) -> Self {
        let form = Form::of(request);
        let named = request.path.strip_prefix("/v1/payment_intents/").and_then(|rest| rest.split('/').next());
        let id = named.or_else(|| form.text("payment_intent"));
        let account = auth::account(request).ok();
        let intent = account.zip(id).and_then(|(account, id)| books.intent(&account, id)).map(AsRef::as_ref);
        Self {
            operation: Operation::of(&request.method, &request.path),
            key: request.header("idempotency-key"),
            form,
            intent,
        }
    }

    pub(crate) fn customer(&self) -> Option<&str> {
        self.form.text("customer").or_else(|| self.intent?.facts.customer.as_deref())
    }

    pub(crate) fn payment_method(&self) -> Option<&str> {
        self.form.text("payment_method").or_else(|| self.intent?.status.method())
    }

    pub(crate) fn has_metadata(&self, key: &str, value: &str) -> bool {
        let is_in_form = self.form.inner("metadata").any(|pair| pair == (key, value));
        let known = self.intent.and_then(|intent| intent.facts.metadata.get(key));
        is_in_form || known.is_some_and(|known| known == value)
    }
}
