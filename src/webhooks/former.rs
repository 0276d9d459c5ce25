//! What an endpoint wanted to be told before it was changed. Its events are looked at a little after they
//! happen; each is judged by what held then.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::endpoints::of;
use super::types::WebhookEndpointStatus;
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::Result;
use crate::journal::feed;
use crate::predicate::Predicate;
use crate::schema::webhook_endpoints as e;

/// Which events an endpoint wants to be told.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, Deserialize)]
#[diesel(table_name = e)]
pub struct Wanted {
    pub event_types: Vec<String>,
    pub where_: Option<Jsonb<Predicate>>,
}

/// What it wanted up to a place in the feed: nothing while it was disabled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Former {
    pub upto: i64,
    pub wanted: Option<Wanted>,
}

/// How far an endpoint is, and what it wants from there on.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = e)]
pub struct Wishes {
    cursor: i64,
    status: WebhookEndpointStatus,
    former: Option<Jsonb<Vec<Former>>>,
    #[diesel(embed)]
    wanted: Wanted,
}

impl Wishes {
    /// The place up to which there are deliveries.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Whether something else is wanted from some place on.
    pub fn have_changed(&self) -> bool {
        self.former.is_some()
    }

    /// What it wants now; nothing while it is disabled.
    fn current(&self) -> Option<&Wanted> {
        (self.status == WebhookEndpointStatus::Enabled).then_some(&self.wanted)
    }

    /// Parts of the feed, one after the other: past a place, up to another, and what is wanted there.
    pub fn parts(&self) -> impl Iterator<Item = (i64, i64, Option<&Wanted>)> {
        let former = self.former.iter().flat_map(|former| &former.0);
        let former = former.map(|it| (it.upto, it.wanted.as_ref()));
        let all = former.chain([(i64::MAX, self.current())]);
        all.scan(self.cursor, |from, (upto, wanted)| {
            let past = std::mem::replace(from, upto.max(*from));
            Some((past, upto, wanted))
        })
    }

    /// Moves on to a place, and past what nothing was wanted of.
    fn move_to(&mut self, place: i64) {
        self.cursor = self.cursor.max(place);
        let mut former = self.former.take().unwrap_or_default().0;
        let is_over = |first: &Former, cursor| first.upto <= cursor || first.wanted.is_none();
        while let Some(first) = former.first().filter(|first| is_over(first, self.cursor)) {
            self.cursor = self.cursor.max(first.upto);
            former.remove(0);
        }
        self.former = (!former.is_empty()).then_some(Jsonb(former));
    }

    /// Lets what holds now hold up to a place. Where nothing is left to look at before it, that is where
    /// what holds from now on begins.
    fn end_at(&mut self, upto: i64) {
        let current = self.current().cloned();
        if self.former.is_none() && (current.is_none() || self.cursor >= upto) {
            self.cursor = self.cursor.max(upto);
            return;
        }
        let former = self.former.get_or_insert_default();
        if former.last().is_none_or(|last| last.upto < upto) {
            former.push(Former { upto, wanted: current });
        }
    }

    fn store(self, tx: &mut Tx, endpoint: Uuid) -> Result<()> {
        diesel::update(of(tx.workspace).filter(e::id.eq(endpoint)))
            .set((e::cursor.eq(self.cursor), e::former.eq(self.former)))
            .execute(tx.pg)?;
        Ok(())
    }
}

/// Before an endpoint, which is locked, wants something else: what is committed by now is judged as it was,
/// however late it is looked at.
pub fn keep(tx: &mut Tx, endpoint: Uuid) -> Result<()> {
    let upto = feed::boundary(tx)?;
    let found = of(tx.workspace).filter(e::id.eq(endpoint));
    let mut wishes: Wishes = found.select(Wishes::as_select()).first(tx.pg)?;
    wishes.end_at(upto);
    wishes.store(tx, endpoint)
}

/// Notes that there are deliveries for an endpoint up to a place.
pub fn move_on(tx: &mut Tx, endpoint: Uuid, mut wishes: Wishes, place: i64) -> Result<()> {
    wishes.move_to(place);
    wishes.store(tx, endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(status: WebhookEndpointStatus) -> Wishes {
        let wanted = Wanted { event_types: vec!["a".into()], where_: None };
        Wishes { cursor: 10, status, former: None, wanted }
    }

    /// From where to where something is wanted, and of which type.
    fn parts(wishes: &Wishes) -> Vec<(i64, i64, Option<&str>)> {
        wishes
            .parts()
            .map(|(past, upto, wanted)| (past, upto, wanted.map(|it| it.event_types[0].as_str())))
            .collect()
    }

    #[test]
    fn what_holds_ends_where_another_begins() {
        use WebhookEndpointStatus::{Disabled, Enabled};
        let mut it = wishes(Enabled);
        it.end_at(10);
        assert_eq!(parts(&it), [(10, i64::MAX, Some("a"))], "nothing was left to look at");
        it.end_at(15);
        it.wanted.event_types = vec!["b".into()];
        it.end_at(18);
        it.status = Disabled;
        let before = [(10, 15, Some("a")), (15, 18, Some("b"))];
        assert_eq!(parts(&it), [before[0], before[1], (18, i64::MAX, None)]);
        it.end_at(30);
        it.status = Enabled;
        let disabled = (18, 30, None);
        let after = (30, i64::MAX, Some("b"));
        assert_eq!(parts(&it), [before[0], before[1], disabled, after]);
        it.move_to(12);
        assert_eq!(parts(&it)[0], (12, 15, Some("a")));
        it.move_to(15);
        assert_eq!(parts(&it), [before[1], disabled, after]);
        it.move_to(18);
        assert_eq!(parts(&it), [after], "what was not wanted is not looked at");
    }

    #[test]
    fn who_was_disabled_and_told_everything_goes_on_where_it_is_enabled() {
        let mut it = wishes(WebhookEndpointStatus::Disabled);
        it.end_at(4000);
        it.status = WebhookEndpointStatus::Enabled;
        assert_eq!(parts(&it), [(4000, i64::MAX, Some("a"))]);
    }
}
