//! "Has done this so often": the part of a predicate that counts touchpoints.

use chrono::{DurationRound, TimeDelta};
use serde_json::Value;

use super::catalog::TOUCHPOINTS;
use super::check::{Check, Scope, is_text};
use super::tree::{CheckedDid, Node, Since};
use super::{Did, eval, operand};
use crate::values::{IsoDuration, time};

impl Check<'_> {
    pub fn did(&mut self, did: &Did, scope: Scope, pointer: &str) -> Option<Node> {
        self.count(pointer)?;
        let Some(columns) = scope.catalog.did else {
            return self.fault(pointer, "invalid_operator", "`did` cannot be asked here");
        };
        // All parts are looked at before the first that is wrong ends it.
        let kind = self.touchpoint_type(&did.r#type, pointer);
        let times = self.times(did, pointer);
        let since = did.within.as_deref().map(|within| self.since(within, pointer));
        let condition = self.condition(did, scope, pointer);
        let (at_least, at_most) = times?;
        Some(Node::Did(Box::new(CheckedDid {
            columns,
            kind: kind?,
            at_least,
            at_most,
            enough: at_most.map_or(at_least, |most| most + 1),
            since: since.map_or(Some(None), |since| since.map(Some))?,
            condition: condition.map_or(Some(None), |node| node.map(Some))?,
        })))
    }

    /// `None` without a condition, `Some(None)` with a wrong one.
    fn condition(&mut self, did: &Did, scope: Scope, pointer: &str) -> Option<Option<Node>> {
        let part = did.r#where.as_deref()?;
        let scope = Scope { catalog: &TOUCHPOINTS, ..scope.deeper() };
        Some(self.predicate(part, scope, &format!("{pointer}/where")))
    }

    fn touchpoint_type(&mut self, kind: &str, pointer: &str) -> Option<String> {
        if !is_text(kind) {
            let detail = "`type` must be a touchpoint type such as `order.placed`";
            return self.fault(&format!("{pointer}/type"), "invalid_value", detail);
        }
        Some(kind.into())
    }

    fn times(&mut self, did: &Did, pointer: &str) -> Option<(i64, Option<i64>)> {
        let at_least = did.at_least.unwrap_or(u32::from(did.at_most.is_none()));
        if at_least == 0 && did.at_most.is_none() {
            let detail = "`at_least` 0 needs an `at_most`, otherwise it is always true";
            return self.fault(&format!("{pointer}/at_least"), "invalid_value", detail);
        }
        if did.at_most.is_some_and(|at_most| at_most < at_least) {
            let detail = "`at_most` must not be less than `at_least`";
            return self.fault(&format!("{pointer}/at_most"), "invalid_value", detail);
        }
        Some((at_least.into(), did.at_most.map(i64::from)))
    }

    /// Ids know milliseconds only: the same moment for them and for the rollup.
    fn since(&mut self, within: &str, pointer: &str) -> Option<Since> {
        let time = IsoDuration::parse(within)
            .and_then(|duration| duration.before(self.context.now))
            .and_then(|time| time.duration_trunc(TimeDelta::milliseconds(1)).ok());
        match time {
            Some(time) => Some(Since { time, id: time::id_floor(time) }),
            None => self.fault(&format!("{pointer}/within"), "invalid_value", operand::DURATION),
        }
    }
}

impl CheckedDid {
    /// Type of the touchpoints that count.
    pub fn touchpoint_type(&self) -> &str {
        &self.kind
    }

    /// Whether a touchpoint of the customer, as JSON, is one of those that count.
    pub fn counts(&self, touchpoint: &Value) -> bool {
        touchpoint["type"] == self.kind.as_str()
            && self
                .since
                .is_none_or(|since| eval::time(&touchpoint["occurred_at"]) >= Some(since.time))
            && self.condition.as_ref().is_none_or(|node| eval::node(node, touchpoint, &|_| false))
    }

    /// Whether so many of them are as many as asked for.
    pub fn holds(&self, count: u64) -> bool {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        count >= self.at_least && self.at_most.is_none_or(|at_most| count <= at_most)
    }

    /// Whether the counters kept per customer and type know the answer, without the touchpoints.
    pub(super) fn is_in_rollup(&self) -> bool {
        let is_once_or_never = self.at_most == Some(0) || self.is_once();
        self.condition.is_none() && (self.since.is_none() || is_once_or_never)
    }

    pub(super) fn is_once(&self) -> bool {
        self.at_least == 1 && self.at_most.is_none()
    }
}
