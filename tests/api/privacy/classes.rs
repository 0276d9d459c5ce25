//! Every column is known to be personal, secret or plain, and every table with something personal in
//! it is exported and erased.

use std::collections::BTreeSet;

use ecrm::privacy::columns::{EVERYWHERE, TABLES};
use ecrm::privacy::registry::{COPIES, Erasure, GO_WITH, OF_STAFF, PARTS};

use super::texts;
use crate::harness::App;

#[test]
fn every_column_of_the_database_has_one_class() {
    let columns = "
        select table_name || '.' || column_name as line
          from information_schema.columns c
          join pg_class on relname = table_name and relnamespace = 'public'::regnamespace
         where table_schema = 'public' and not relispartition and relkind in ('r', 'p')
           and table_name not like '\\_\\_%'";
    let there: BTreeSet<String> = texts(App::shared(), columns).into_iter().collect();
    let mut classed = BTreeSet::new();
    for table in TABLES {
        for column in [table.pii, table.secret, table.plain].concat() {
            let place = format!("{}.{column}", table.table);
            assert!(there.contains(&place), "`{place}` is no column");
            assert!(!EVERYWHERE.contains(&column), "`{place}` is plain everywhere");
            assert!(classed.insert(place.clone()), "`{place}` has two classes");
        }
    }
    let is_everywhere =
        |place: &&String| EVERYWHERE.contains(&place.split('.').next_back().unwrap_or_default());
    let missing: Vec<&String> =
        there.difference(&classed).filter(|place| !is_everywhere(place)).collect();
    assert!(missing.is_empty(), "pii, secret or plain? {missing:?}");
    let tables: BTreeSet<&str> = TABLES.iter().map(|table| table.table).collect();
    let unknown: Vec<&String> =
        there.iter().filter(|place| !tables.contains(place.split('.').next().unwrap())).collect();
    assert!(unknown.is_empty(), "tables without classes: {unknown:?}");
}

#[test]
fn every_table_with_something_personal_is_exported_and_erased() {
    for table in TABLES.iter().filter(|table| !table.pii.is_empty()) {
        let name = table.table;
        let part = PARTS.iter().find(|part| part.table == name);
        let elsewhere = COPIES.contains(&name)
            || OF_STAFF.contains(&name)
            || GO_WITH.iter().any(|(known, _)| *known == name);
        assert_ne!(part.is_some(), elsewhere, "`{name}` is in one place of the registry");
        if let Some(part) = part {
            assert!(!matches!(part.erasure, Erasure::Kept(_)), "`{name}` keeps personal data");
        }
    }
    for part in PARTS {
        assert!(TABLES.iter().any(|table| table.table == part.table), "{}", part.table);
    }
}
