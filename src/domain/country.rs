//! Countries: the codes of ISO 3166-1. All that is needed of a country is its code, so a list is enough.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{borrow::Cow, fmt, str::FromStr};

/// A country of ISO 3166-1, by its two letters. Written in capitals, read in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Country(&'static str);

/// A text that is no country's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such country: give an ISO 3166-1 code of two letters, such as \"DE\"")]
pub struct UnknownCountry;

/// The officially assigned codes.
const CODES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV \
BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES \
ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE \
IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY \
MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU \
NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM \
SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE \
VG VI VN VU WF WS YE YT ZA ZM ZW";

impl FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(text: &str) -> Result<Self, UnknownCountry> {
        let code = CODES.split(' ').find(|code| code.eq_ignore_ascii_case(text));
        code.map(Self).ok_or(UnknownCountry)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl JsonSchema for Country {
    fn schema_name() -> Cow<'static, str> {
        "Country".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let letters = if generator.contract().is_serialize() { "^[A-Z]{2}$" } else { "^[A-Za-z]{2}$" };
        json_schema!({ "type": "string", "pattern": letters, "description": "ISO 3166-1, two letters." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!("de".parse::<Country>().unwrap().to_string(), "DE");
        assert_eq!(CODES.split(' ').count(), 249);
        assert!(CODES.split(' ').all(|code| code.len() == 2) && CODES.split(' ').is_sorted());
        for wrong in ["", " ", "D", "DEU", "ZZ", "EU", "UK", "D ", "DE FR", "ÄÖ"] {
            assert_eq!(wrong.parse::<Country>(), Err(UnknownCountry), "{wrong:?}");
        }
    }
}
