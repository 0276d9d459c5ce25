//! When the marks of one person lead to several customers: they become one, or somebody is asked.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::Customer;
use super::candidates::{self, CandidateReason};
use super::identities::{self, MarkKey, slot};
use super::merge;
use crate::db::Tx;
use crate::error::Result;
use crate::workspaces::{MergePolicy, Workspace};

/// How many customers one request joins; further ones become candidates.
const JOINS: usize = 20;

/// Two customers that one sender takes for the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    /// The one whom the strongest mark means.
    pub customer: Uuid,
    pub other: Uuid,
    /// Whether somebody proved that the mark by which they met is theirs.
    pub is_verified: bool,
}

/// What a customer is known by, as far as joining goes.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Logins and outside ids, of which one person has one each.
    own: HashSet<MarkKey>,
    has_more_than_browsers: bool,
    /// Whether the data may be kept and nothing else.
    is_restricted: bool,
}

impl Known {
    /// Whether each has something of which one person has one, and it is not the same.
    fn differs_from(&self, other: &Self) -> bool {
        let theirs = |mine: &MarkKey| {
            let mut same = other.own.iter().filter(|key| slot(key) == slot(mine)).peekable();
            same.peek().is_some() && !same.any(|key| key == mine)
        };
        self.own.iter().any(theirs)
    }
}

/// Joins those that may be joined and notes the others as candidates. Returns who became whom.
pub fn settle(tx: &mut Tx, meetings: Vec<Meeting>) -> Result<HashMap<Uuid, Uuid>> {
    let mut joined: HashMap<Uuid, Uuid> = HashMap::new();
    if meetings.is_empty() {
        return Ok(joined);
    }
    let policy = Workspace::current(tx)?.settings.0.merge_policy;
    let mut known = load(tx, &meetings)?;
    for meeting in meetings {
        let now = |id: Uuid| joined.get(&id).copied().unwrap_or(id);
        let (customer, other) = (now(meeting.customer), now(meeting.other));
        if customer == other {
            continue;
        }
        if joined.len() >= JOINS || !may_join(policy, &meeting, &known[&customer], &known[&other]) {
            candidates::suggest(tx, customer, other, CandidateReason::SharedIdentity)?;
            continue;
        }
        merge::join(tx, customer, other)?;
        let more = known[&other].clone();
        let one = known.entry(customer).or_default();
        one.has_more_than_browsers |= more.has_more_than_browsers;
        one.own.extend(more.own);
        joined.values_mut().filter(|to| **to == other).for_each(|to| *to = customer);
        joined.insert(other, customer);
    }
    Ok(joined)
}

/// A browser joins whoever signs in with it. Two people who are known join as far as the policy goes,
/// and never when each has a login, or an id in the same outside system, of its own, or while the data of one may only be kept.
fn may_join(policy: MergePolicy, meeting: &Meeting, one: &Known, other: &Known) -> bool {
    if one.is_restricted || other.is_restricted {
        return false;
    }
    if !one.has_more_than_browsers || !other.has_more_than_browsers {
        return true;
    }
    if one.differs_from(other) {
        return false;
    }
    match policy {
        MergePolicy::Strict => false,
        MergePolicy::Verified => meeting.is_verified,
        MergePolicy::Eager => true,
    }
}

/// What everybody in these meetings is known by.
fn load(tx: &mut Tx, meetings: &[Meeting]) -> Result<HashMap<Uuid, Known>> {
    let ids: HashSet<Uuid> =
        meetings.iter().flat_map(|meeting| [meeting.customer, meeting.other]).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows = identities::of_customers(tx, &ids)?;
    let restricted = Customer::restricted(tx, &ids)?;
    let mut known: HashMap<Uuid, Known> = HashMap::new();
    for id in ids {
        let is_restricted = restricted.contains(&id);
        known.insert(id, Known { is_restricted, ..Known::default() });
    }
    for (customer, kind, value) in rows {
        let one = known.entry(customer).or_default();
        one.has_more_than_browsers |= kind.strength() > 0;
        let key = (kind, value);
        if slot(&key).is_some() {
            one.own.insert(key);
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::identities::IdentityType;

    fn known(logins: &[&str], has_more_than_browsers: bool) -> Known {
        let own = logins.iter().map(|login| (IdentityType::UserId, (*login).to_owned())).collect();
        Known { own, has_more_than_browsers, is_restricted: false }
    }

    fn called(ids: &[&str]) -> Known {
        let own = ids.iter().map(|id| (IdentityType::External, (*id).to_owned())).collect();
        Known { own, has_more_than_browsers: true, is_restricted: false }
    }

    fn may(policy: MergePolicy, is_verified: bool, one: &Known, other: &Known) -> bool {
        let (customer, other_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        may_join(policy, &Meeting { customer, other: other_id, is_verified }, one, other)
    }

    #[test]
    fn a_browser_joins_whoever_signs_in_with_it() {
        for policy in [MergePolicy::Strict, MergePolicy::Verified, MergePolicy::Eager] {
            assert!(may(policy, false, &known(&["u1"], true), &known(&[], false)));
        }
    }

    #[test]
    fn two_logins_never_become_one_by_themselves() {
        let (one, other) = (known(&["u1"], true), known(&["u2"], true));
        assert!(!may(MergePolicy::Eager, true, &one, &other));
    }

    #[test]
    fn two_ids_in_one_outside_system_are_two_people() {
        let eager = |one: &[&str], other: &[&str]| {
            may(MergePolicy::Eager, true, &called(one), &called(other))
        };
        assert!(!eager(&["shop:1"], &["shop:2"]));
        assert!(eager(&["shop:1"], &["erp:2"]));
    }

    #[test]
    fn two_people_join_as_far_as_the_policy_goes() {
        let (one, other) = (known(&["u1"], true), known(&[], true));
        let joins = |policy| [false, true].map(|proved| may(policy, proved, &one, &other));
        assert_eq!(joins(MergePolicy::Strict), [false, false]);
        assert_eq!(joins(MergePolicy::Verified), [false, true]);
        assert_eq!(joins(MergePolicy::Eager), [true, true]);
    }
}
