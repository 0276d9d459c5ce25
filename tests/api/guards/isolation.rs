//! What belongs to another workspace is answered exactly like what never was, wherever in a request
//! its id stands and however the request is sent, and stays as it is.

use std::cell::RefCell;
use std::collections::BTreeSet;

use uuid::Uuid;

use super::calls::{Call, Coverage, Faults, Operation, operations, secured};
use super::fixtures::{Fixtures, quiet_keys, seed, seed_data};
use super::positions::{Position, names, positions};
use crate::harness::{Answer, App, Client};

/// Resources that belong to the live workspace and are the same for test credentials.
const SHARED_WITH_TEST_MODE: [&str; 3] = ["users", "api_keys", "trusted_issuers"];

/// Names that end like an id and are none of ours: outside ids, and what callers make up.
const OUTSIDE: [&str; 21] = [
    "anonymous_id",
    "external_id",
    "CartReference.external_id",
    "ChannelReference.external_id",
    "LineItemQuantity.external_id",
    "NewCartLineItem.external_id",
    "NewCartLineItem.product_external_id",
    "NewFulfillment.external_id",
    "NewLineItem.external_id",
    "NewLineItem.product_external_id",
    "NewRefund.external_id",
    // Of a form of the company's own: kept as it is, never followed.
    "NewConsentEvidence.form_id",
    "CustomerReference.anonymous_id",
    "CustomerReference.external_id",
    "CustomerReference.user_id",
    "ExternalId.id",
    "NewTouchpoint.message_id",
    // Whose `owner_id` counts: `survivor` or `source`.
    "MergeSides.owner_id",
    "OrganizationReference.external_id",
    // Of OAuth, and ignored: the secret says whose it is.
    "TokenRequest.client_id",
    // Of whatever the touchpoint is about: kept as it is, never followed.
    "TouchpointSubject.id",
];

/// Operations with no place for an id: they name things by outside ids, or nothing at all.
const NAMES_NOTHING: &str = include_str!("../golden/operations_without_ids.txt");

/// How a request is sent: each takes another way through the service.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Plain,
    /// With an `Idempotency-Key`, whose answer is stored.
    Keyed,
    DryRun,
    /// Under a condition on the first version, which is the one that the foreign object has.
    IfMatch,
    IfNoneMatch,
}

impl Manner {
    fn all(operation: &Operation) -> Vec<Self> {
        let knows = |place, name: &str| {
            operation.parameters(place).into_iter().any(|parameter| parameter["name"] == name)
        };
        let ways = [
            (Self::Plain, true),
            (Self::Keyed, operation.method != "GET"),
            (Self::DryRun, knows("query", "dry_run")),
            (Self::IfMatch, knows("header", "If-Match")),
            (Self::IfNoneMatch, operation.method == "GET" && knows("header", "If-None-Match")),
        ];
        ways.into_iter().filter_map(|(way, is_one)| is_one.then_some(way)).collect()
    }

    fn send(self, call: &Call, caller: &Client) -> Answer {
        match self {
            Self::Plain => call.send(caller),
            Self::Keyed => {
                let key = Uuid::new_v4().to_string();
                call.send_with(caller, &[("Idempotency-Key", &key)])
            }
            Self::DryRun => call.clone().asking("dry_run=true").send(caller),
            Self::IfMatch => call.send_with(caller, &[("If-Match", "\"1\"")]),
            Self::IfNoneMatch => call.send_with(caller, &[("If-None-Match", "\"1\"")]),
        }
    }
}

/// What stands where an id of this resource belongs.
type IdOf<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// Two workspaces that shall know nothing of each other, seen from the first.
struct Worlds<'a> {
    app: &'a App,
    caller: &'a Client,
    own: &'a Fixtures,
    foreign: &'a Fixtures,
    /// Resources that both have in common.
    shared: &'a [&'a str],
    manners: fn(&Operation) -> Vec<Manner>,
    /// Of how many kinds of ids that belong elsewhere one is tried.
    one_kind_in: usize,
}

impl Worlds<'_> {
    /// Sends each request of an operation with absent and with foreign ids. Returns with how many
    /// foreign ones.
    fn sweep(&self, operation: &Operation, faults: &mut Faults) -> usize {
        let before = self.checksums();
        let mut sent = 0;
        for position in positions(operation) {
            for manner in (self.manners)(operation) {
                sent += self.try_ids(operation, &position, manner, faults);
            }
        }
        faults.expect(&operation.place(), self.checksums(), before);
        sent
    }

    fn try_ids(
        &self,
        operation: &Operation,
        position: &Position,
        manner: Manner,
        faults: &mut Faults,
    ) -> usize {
        let ask = |id_of: &dyn Fn(&str) -> String| {
            let sent = RefCell::new(Vec::new());
            let call = position.call(operation, self.own, &|resource| {
                let id = id_of(resource);
                sent.borrow_mut().push(id.clone());
                id
            });
            let answer = manner.send(&call, self.caller);
            let essence = essence(&answer, &sent.into_inner());
            (answer, essence)
        };
        let absent = Uuid::now_v7().to_string();
        let (_, expected) = ask(&|_| absent.clone());
        let ids = self.ids(position);
        for (what, id_of) in &ids {
            let (actual, essence) = ask(id_of);
            let place = format!("{} {position:?} {manner:?} = {what}", operation.place());
            if !matches!(position, Position::Query(_)) && !is_refused(&actual) {
                faults.add(format!("{place}: {}", actual.text));
            }
            if matches!(position, Position::Path(_)) {
                faults.expect(&format!("{place}: {}", actual.text), actual.status, 404);
            }
            faults.expect(&place, &essence, &expected);
        }
        ids.len()
    }

    /// Foreign ids: of the kind that belongs there, and of others, for an id does not say what it is of;
    /// where several stand together, each of the kind that belongs there.
    fn ids(&self, position: &Position) -> Vec<(String, IdOf<'_>)> {
        let fitting = || -> (String, IdOf<'_>) {
            ("what belongs there".into(), Box::new(|resource| self.foreign.id(resource)))
        };
        let mut ids = match position {
            Position::Path(names) if names.len() > 1 => return vec![fitting()],
            Position::Path(_) => vec![fitting()],
            Position::Query(_) | Position::Body(_) => Vec::new(),
        };
        let place = format!("{position:?}");
        let theirs = self.foreign.ids().filter(|(resource, _)| !self.shared.contains(resource));
        for (n, (resource, id)) in theirs.enumerate() {
            // Names say what belongs there: `customer_id`, `#/customer/id`.
            let is_named = place.contains(resource.trim_end_matches('s'));
            if is_named || (n + place.len()).is_multiple_of(self.one_kind_in) {
                let id = id.to_owned();
                ids.push((resource.to_owned(), Box::new(move |_| id.clone())));
            }
        }
        ids
    }

    /// Of all tables but the one that remembers answers.
    fn checksums(&self) -> Vec<(String, i64)> {
        let sums = self.app.checksums().into_iter();
        sums.filter(|(table, _)| table != "idempotency_keys").collect()
    }
}

/// An answer without what names the single request, and with the ids it had made equal.
fn essence(answer: &Answer, ids: &[String]) -> (u16, String, Vec<(String, String)>) {
    let mut body = answer.json.clone();
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
        problem.remove("instance");
    }
    let varying = ["x-request-id", "date", "connection", "ratelimit", "content-length"];
    let headers = answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
    let mut headers: Vec<_> = headers.map(|(n, v)| (n.clone(), v.clone())).collect();
    headers.sort();
    let equal = |text: String| ids.iter().fold(text, |text, id| text.replace(id.as_str(), "ID"));
    headers.iter_mut().for_each(|(_, value)| *value = equal(std::mem::take(value)));
    (answer.status, equal(body.to_string()), headers)
}

/// As a whole, or as the one item of a batch.
fn is_refused(answer: &Answer) -> bool {
    let is_batch = answer.status == 207 && answer.json["failed"] == 1;
    (400..500).contains(&answer.status) || is_batch
}

#[test]
fn an_id_of_another_workspace_is_answered_like_one_that_never_was() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let (own, mut foreign) = (seed(&caller), seed(&stranger));
    foreign.add("workspaces", stranger.workspace_id.to_string());
    quiet_keys(&app);
    let worlds = Worlds {
        app: &app,
        caller: &caller,
        own: &own,
        foreign: &foreign,
        shared: &[],
        manners: Manner::all,
        one_kind_in: 1,
    };
    let (mut sent, mut faults, mut coverage) = (0, Faults::default(), Coverage::default());
    for operation in secured() {
        let requests = worlds.sweep(&operation, &mut faults);
        if requests > 0 {
            coverage.saw(&operation);
        }
        sent += requests;
    }
    faults.none();
    coverage.leaves_out(NAMES_NOTHING);
    eprintln!("{sent} requests with foreign ids");
    assert!(sent >= 1900, "only {sent} requests were sent");
}

#[test]
fn a_live_id_is_absent_for_test_credentials_and_the_other_way_round() {
    let app = App::alone(&[]);
    let live = app.workspace(&["*"]);
    let test = live.with_token(&app.key(&live, &["*"], false));
    let (of_live, of_test) = (seed(&live), seed_data(&test));
    quiet_keys(&app);
    let (mut sent, mut faults) = (0, Faults::default());
    for (caller, own, foreign) in [(&test, &of_test, &of_live), (&live, &of_live, &of_test)] {
        // The ways through the service are the same for both modes, and so is what a place takes for an
        // id: both are swept above.
        let (shared, manners) = (&SHARED_WITH_TEST_MODE, |_: &Operation| vec![Manner::Plain]);
        let worlds = Worlds { app: &app, caller, own, foreign, shared, manners, one_kind_in: 8 };
        let is_shared = |id: &&str| SHARED_WITH_TEST_MODE.contains(id);
        for operation in secured() {
            let resources: Vec<_> =
                operation.ids().into_iter().map(|id| operation.resource(id)).collect();
            if !resources.iter().any(|resource| is_shared(&resource.as_str())) {
                sent += worlds.sweep(&operation, &mut faults);
            }
        }
    }
    faults.none();
    eprintln!("{sent} requests with ids of the other mode");
    assert!(sent >= 300, "only {sent} requests were sent");
}

/// The sweep sees what says `format: uuid`; this holds it against every name in every request.
#[test]
fn every_id_in_a_request_is_swept_or_known_to_be_an_outside_one() {
    let (mut outside, mut faults) = (BTreeSet::new(), Faults::default());
    for operation in operations() {
        let swept = positions(&operation).into_iter().filter(|position| match position {
            Position::Path(names) => names.len() == 1,
            Position::Query(_) | Position::Body(_) => true,
        });
        let ids = names(&operation).into_iter().filter(|(_, is_ours)| *is_ours);
        faults.expect(&operation.place(), swept.count(), ids.count());
        let others = names(&operation).into_iter().filter(|(_, is_ours)| !*is_ours);
        outside.extend(others.map(|(name, _)| name).filter(|name| looks_like_an_id(name)));
    }
    faults.none();
    assert_eq!(outside, OUTSIDE.map(String::from).into());
}

fn looks_like_an_id(name: &str) -> bool {
    name == "id" || name.ends_with(".id") || name.ends_with("_id")
}
