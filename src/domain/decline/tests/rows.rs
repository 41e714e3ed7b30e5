//! Every row of every table, as it decides.

use super::*;
use std::fmt::Write as _;

/// A decline that the row is looked up by, on the soft code for which each table may decide.
fn decline_of(table: Table, row: &str, rule: &Row) -> Decline {
    let soft = "do_not_honor";
    match table {
        Table::NetworkCode => {
            let (network, code) = row.split_once(' ').unwrap();
            at_network(soft, network, code)
        }
        Table::GatewayCode => {
            let (gateway, code) = row.split_once(' ').unwrap();
            Decline { gateway: Some(gateway.into()), ..Decline::of(code) }
        }
        Table::NetworkAdvice => network_advised(soft, row),
        Table::Advice => advised(soft, row),
        Table::NetworkStatus => {
            let outcome = Assessment { network_status: Some(row.to_owned()), ..Assessment::default() };
            Decline { outcome: Some(outcome.into()), ..Decline::of(&rule.codes[0]) }
        }
        Table::Unmapped => unreachable!("it has no rows"),
    }
}

#[test]
fn every_row_decides_what_it_says() {
    let policy = policy();
    let mut told = String::new();
    for (table, row, rule) in policy.rows() {
        let decided = first(&decline_of(table, &row, rule));

        match &rule.class {
            Some(class) => {
                assert_eq!((&decided.by.class, decided.by.table, &decided.by.row), (class, table, &row));
            }
            None => assert_eq!(decided.by.class, "soft_opaque", "{row} decides nothing"),
        }
        let not_before =
            rule.not_before_s.map(|wait| now() + TimeDelta::seconds(i64::try_from(wait).unwrap()));
        assert_eq!(decided.by.not_before, not_before, "{row}");
        assert_eq!(decided.by.policy, policy.version);
        let (_, why) = decided.reason.split_once("): ").unwrap();
        writeln!(told, "{:<14} {row:<45} {:<14} {why}", table.name(), decided.by.class).unwrap();
    }

    insta::assert_snapshot!(told);
}
