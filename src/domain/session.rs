//! The session of a payment: whether its customer is there while it is made, and where they come back to.

use super::card::looks_like_card_number;
use dunlin_jobs::NewPayment;
use std::str::FromStr;
use url::Url;

/// Whether the customer is there to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// Nobody is, as in a billing run: a demand for authentication is a decline (S1.18).
    Off,
    On(ReturnUrl),
}

/// Where the gateway, or a bank, sends a customer back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl(String);

/// The longest address that is taken.
const MAX_URL: usize = NewPayment::MAX_URL;

impl Session {
    pub fn is_on(&self) -> bool {
        match self {
            Self::Off => false,
            Self::On(_) => true,
        }
    }

    pub fn return_url(&self) -> Option<&str> {
        match self {
            Self::Off => None,
            Self::On(url) => Some(&url.0),
        }
    }
}

/// What is wrong with an address, with the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReturnUrl {
    #[error("at most {MAX_URL} characters")]
    TooLong,
    #[error("send an absolute http or https URL, such as https://shop.example/thanks, percent-encoded")]
    NotAbsolute,
    #[error("the URL has a user's name or password in it: leave them out")]
    Credentials,
    #[error("this looks like a card number, which dunlin never takes: leave it out")]
    CardNumber,
}

impl FromStr for ReturnUrl {
    type Err = NoReturnUrl;

    fn from_str(text: &str) -> Result<Self, NoReturnUrl> {
        if text.len() > MAX_URL {
            return Err(NoReturnUrl::TooLong);
        }
        // A browser's reading mends much that a gateway would refuse, or read in another way.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let has_host = ["http://", "https://"].iter().any(|scheme| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
                && !text[scheme.len()..].starts_with('/')
        });
        let url = Url::parse(text).ok().filter(|_| is_plain && has_host).ok_or(NoReturnUrl::NotAbsolute)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoReturnUrl::Credentials);
        }
        if looks_like_card_number(text) {
            return Err(NoReturnUrl::CardNumber);
        }
        // As it was parsed, so that whoever gets it reads the same in it, and no quote or bracket stands in a page.
        let url = String::from(url);
        if url.len() > MAX_URL {
            return Err(NoReturnUrl::TooLong);
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ReturnUrl, NoReturnUrl> {
        text.parse()
    }

    #[test]
    fn an_absolute_address_is_kept_as_a_browser_reads_it() {
        let long = format!("https://shop.example/{}", "a".repeat(2027));
        for (text, kept) in [
            (
                "https://shop.example/thanks?order=7&x=%20#end",
                "https://shop.example/thanks?order=7&x=%20#end",
            ),
            ("HTTP://localhost:3000", "http://localhost:3000/"),
            ("https://[::1]/back", "https://[::1]/back"),
            ("https://Shop.Example:443/a/../b", "https://shop.example/b"),
            (
                "https://shop.example/?a=\"><script>alert('1')</script>",
                "https://shop.example/?a=%22%3E%3Cscript%3Ealert(%271%27)%3C/script%3E",
            ),
            ("https://shop.example/\"><b>#\"><i>", "https://shop.example/%22%3E%3Cb%3E#%22%3E%3Ci%3E"),
            (&long, &long),
        ] {
            assert_eq!(Session::On(read(text).unwrap()).return_url(), Some(kept));
        }
    }

    #[test]
    fn what_a_customer_cannot_be_sent_back_to_is_refused() {
        for (text, why) in [
            ("", NoReturnUrl::NotAbsolute),
            ("thanks", NoReturnUrl::NotAbsolute),
            ("/thanks", NoReturnUrl::NotAbsolute),
            ("//shop.example", NoReturnUrl::NotAbsolute),
            ("https:shop.example", NoReturnUrl::NotAbsolute),
            ("https:///thanks", NoReturnUrl::NotAbsolute),
            ("https://", NoReturnUrl::NotAbsolute),
            ("https://shop.example:x/", NoReturnUrl::NotAbsolute),
            ("ftp://shop.example", NoReturnUrl::NotAbsolute),
            ("javascript:alert(1)", NoReturnUrl::NotAbsolute),
            ("https://shop.example/a b", NoReturnUrl::NotAbsolute),
            ("https://shop.example/\n", NoReturnUrl::NotAbsolute),
            ("https:\\\\shop.example", NoReturnUrl::NotAbsolute),
            ("https://käse.example", NoReturnUrl::NotAbsolute),
            ("https://me:secret@shop.example", NoReturnUrl::Credentials),
            ("https://me@shop.example", NoReturnUrl::Credentials),
            ("https://shop.example/?card=4242424242424242", NoReturnUrl::CardNumber),
            ("https://shop.example/?card=4242%204242%204242%204242", NoReturnUrl::CardNumber),
            (&format!("https://shop.example/{}", "a".repeat(2028)), NoReturnUrl::TooLong),
            (&format!("https://shop.example/?{}", "\"".repeat(1000)), NoReturnUrl::TooLong),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }
}
