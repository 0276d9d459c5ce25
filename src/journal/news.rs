//! The latest of a feed, as all who listen to it get it: each event is read and written once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::{Event, Stretch};
use crate::error::{Error, Result};

/// What is kept for who did not look in time: so many events, so many bytes of them, and for so long.
const EVENTS: usize = 5000;
const BYTES: usize = 4 << 20;
const KEPT_FOR: Duration = Duration::from_secs(10);

/// An event, written once for all.
#[derive(Debug)]
pub struct Told {
    pub event: Event,
    pub json: String,
}

impl Told {
    /// The touchpoint as the API shows it.
    pub fn of(event: Event) -> Result<Self> {
        let json = serde_json::to_string(&event.touchpoint)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { event, json })
    }
}

/// The last stretches of a feed. Before the first is told, nothing is known.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The place before the first event that is kept.
    after: i64,
    upto: i64,
    stretches: VecDeque<Arc<Piece>>,
}

/// What was told at once.
#[derive(Debug)]
struct Piece {
    upto: i64,
    events: Vec<Told>,
    bytes: usize,
    told_at: Instant,
}

impl News {
    /// Of a feed that is so far, and of which nothing is kept.
    pub fn at(head: i64) -> Self {
        Self { after: head, upto: head, stretches: VecDeque::new() }
    }

    /// The last place that was told of; 0 where nothing was.
    pub fn upto(&self) -> i64 {
        self.upto
    }

    /// The events after a place, `most` at most, and where they end; nothing where the place lies
    /// before what is kept.
    pub fn since(&self, place: i64, most: i64) -> Option<(Vec<&Told>, i64)> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if place < self.after || self.upto == 0 {
            return None;
        }
        let known = self.stretches.partition_point(|piece| piece.upto <= place);
        let events = self.stretches.range(known..).flat_map(|piece| &piece.events);
        let fresh: Vec<&Told> =
            events.filter(|told| told.event.sequence > place).take(most).collect();
        let end = match fresh.last() {
            Some(last) if fresh.len() == most => last.event.sequence,
            _ => place.max(self.upto),
        };
        Some((fresh, end))
    }

    /// Adds what comes next, and forgets what is too much.
    pub fn add(&mut self, stretch: Stretch) -> Result<()> {
        let events = stretch.events.into_iter().map(Told::of).collect::<Result<Vec<_>>>()?;
        let bytes = events.iter().map(|told| told.json.len()).sum();
        let (upto, told_at) = (stretch.upto, Instant::now());
        self.stretches.push_back(Arc::new(Piece { upto, events, bytes, told_at }));
        self.upto = upto;
        // Whoever listens is told of the last one, whatever its size.
        while self.stretches.len() > 1 && self.is_too_much() {
            self.forget_first();
        }
        Ok(())
    }

    /// Forgets what everybody has had time for; whether there was anything.
    pub fn forget(&mut self) -> bool {
        let before = self.stretches.len();
        while self.stretches.front().is_some_and(|piece| piece.told_at.elapsed() > KEPT_FOR) {
            self.forget_first();
        }
        self.stretches.len() < before
    }

    fn is_too_much(&self) -> bool {
        let sum = |of: fn(&Piece) -> usize| self.stretches.iter().map(|it| of(it)).sum::<usize>();
        sum(|piece| piece.events.len()) > EVENTS || sum(|piece| piece.bytes) > BYTES
    }

    fn forget_first(&mut self) {
        if let Some(piece) = self.stretches.pop_front() {
            self.after = piece.upto;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::journal::Change;

    /// Places after `after`, up to and with `upto`, of which each is an event of so many bytes or more.
    fn stretch(after: i64, upto: i64, bytes: usize) -> Stretch {
        let event = |sequence| {
            let change = Change {
                kind: "tag.created",
                customer_id: None,
                organization_id: None,
                channel_id: None,
                subject: ("tag", Uuid::nil()),
                properties: json!({ "name": "x".repeat(bytes) }),
            };
            let entry = change.entry(Uuid::now_v7(), json!({ "type": "system" }));
            let touchpoint = entry.stored(Utc::now()).unwrap();
            Event { sequence, touchpoint, is_backfill: false }
        };
        Stretch { events: (after + 1..=upto).map(event).collect(), upto }
    }

    /// The sequences that a listener at a place is told, and where they end.
    fn told(news: &News, place: i64, most: i64) -> Option<(Vec<i64>, i64)> {
        let (events, end) = news.since(place, most)?;
        Some((events.iter().map(|told| told.event.sequence).collect(), end))
    }

    #[test]
    fn a_listener_who_did_not_look_for_a_while_is_told_all_of_it_from_its_place_on() {
        assert_eq!(told(&News::default(), 0, 9), None, "nothing is known yet");
        let mut news = News::at(3);
        assert_eq!(told(&news, 3, 9), Some((vec![], 3)));
        for (after, upto) in [(3, 5), (5, 6), (6, 9)] {
            news.add(stretch(after, upto, 1)).unwrap();
        }
        assert_eq!(told(&news, 2, 9), None, "that was before");
        assert_eq!(told(&news, 3, 9), Some((vec![4, 5, 6, 7, 8, 9], 9)));
        assert_eq!(told(&news, 4, 9), Some((vec![5, 6, 7, 8, 9], 9)));
        assert_eq!(told(&news, 4, 3), Some((vec![5, 6, 7], 7)), "so many at once");
        assert_eq!(told(&news, 9, 9), Some((vec![], 9)));
        assert_eq!(told(&news, 12, 9), Some((vec![], 12)), "it read for itself");
    }

    #[test]
    fn what_is_gone_from_the_log_is_a_place_without_an_event() {
        let mut news = News::at(3);
        news.add(Stretch { events: Vec::new(), upto: 5 }).unwrap();
        news.add(stretch(5, 6, 1)).unwrap();
        assert_eq!(told(&news, 3, 1), Some((vec![6], 6)));
    }

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let mut news = News::at(0);
        for after in (0..20_000).step_by(1000) {
            news.add(stretch(after, after + 1000, 1)).unwrap();
        }
        assert_eq!(told(&news, 14_999, 9), None);
        assert_eq!(told(&news, 15_000, 1), Some((vec![15_001], 15_001)));
        // One that is too large alone is told all the same.
        news.add(stretch(20_000, 20_002, BYTES)).unwrap();
        assert_eq!(told(&news, 19_999, 9), None);
        assert_eq!(told(&news, 20_000, 9), Some((vec![20_001, 20_002], 20_002)));
        assert!(!news.forget(), "it is new");
    }
}
