//! Auth finds the account a request speaks for, and forgets the key.

use crate::{message::Request, mint, problem::Problem};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// An account as the journal knows it: enough to tell accounts apart, too little to use one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct AccountId {
    pub id: String,
    /// The key's last 4 characters.
    pub tail: String,
}

const PREFIX: &str = "sk_test_";
const MAX_KEY: usize = 255;

pub(crate) fn account(request: &Request) -> Result<AccountId, Problem> {
    let missing = "You did not provide an API key. Send it as 'Authorization: Bearer sk_test_...'.";
    let header = request.header("authorization").ok_or_else(|| Problem::unauthorized(missing))?;
    let key = key(header).ok_or_else(|| Problem::unauthorized(missing))?;
    if !key.starts_with(PREFIX) || key.len() == PREFIX.len() || key.len() > MAX_KEY {
        return Err(Problem::unauthorized("Invalid API Key provided."));
    }
    let secret: Vec<char> = key.chars().skip(PREFIX.len()).collect();
    let tail = secret.iter().skip(secret.len().saturating_sub(4)).collect();
    Ok(AccountId { id: mint::account(&key), tail })
}

fn key(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let user = pair.split_once(':').map_or(pair.as_str(), |(user, _)| user);
    Some(user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(header: &str) -> Option<AccountId> {
        let headers = vec![("authorization".to_owned(), header.to_owned())];
        account(&Request { headers, ..Request::default() }).ok()
    }

    #[test]
    fn bearer_and_basic_name_the_same_account() {
        let basic = format!("Basic {}", STANDARD.encode("sk_test_abcdef:"));

        assert_eq!(found("Bearer sk_test_abcdef"), found(&basic));
        assert_eq!(found(&basic).map(|account| account.tail), Some("cdef".to_owned()));
    }

    #[test]
    fn no_other_key_is_accepted() {
        for header in
            ["", "Bearer", "Bearer sk_live_abc", "Bearer sk_test_", "Basic ???", "Digest sk_test_abc"]
        {
            assert_eq!(found(header), None, "{header}");
        }
    }
}
