//! Group commit: small writes that arrive together share one transaction and one commit.
//!
//! Nobody waits for company: a write that finds its lane empty runs at once, and what arrives while
//! it commits goes into the next transaction, all together. Each is answered after the commit that
//! holds it, and a lane keeps the order of arrival.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::blocking::in_time;
use super::pool::CHECKOUT_TIMEOUT;
use super::{Actor, Db, Outcome, Session, Tx, Via, WorkspaceId, queued_since};
use crate::error::{Error, Result};

/// Most writes that share a transaction.
const CROWD: usize = 500;
/// Most writes that wait in one lane; the next is answered 503.
const CAPACITY: usize = 2000;

/// What a group does with some writes: one result for each, in their order. A refused one must
/// leave the others alone; it may be called again with the same writes.
type Work<K, T, R> = fn(&mut Tx, &K, &[T]) -> Result<Vec<Result<R>>>;

/// Writes of one kind, in lanes: those in which somebody is at work, and who waits there.
pub struct Group<K, T, R> {
    work: Work<K, T, R>,
    lanes: Mutex<Lanes<K, T, R>>,
}

type Lanes<K, T, R> = HashMap<Lane<K>, VecDeque<Waiting<T, R>>>;

/// Writes that may share a transaction: same workspace, same actor, same kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lane<K> {
    workspace: WorkspaceId,
    actor: Actor,
    kind: K,
}

struct Waiting<T, R> {
    item: T,
    answer: oneshot::Sender<Result<R>>,
    since: Instant,
    has_begun: Arc<AtomicBool>,
}

impl<K, T, R> Group<K, T, R>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    pub fn new(work: Work<K, T, R>) -> Self {
        Self { work, lanes: Mutex::default() }
    }

    /// Writes `item` with whatever else waits for its lane; durable when this returns `Ok`.
    pub async fn write(&'static self, db: Db, session: Session, kind: K, item: T) -> Result<R> {
        let (answer, answered) = oneshot::channel();
        let (since, has_begun) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let newcomer = Waiting { item, answer, since, has_begun: has_begun.clone() };
        let lane = Lane { workspace: session.workspace, actor: session.actor.clone(), kind };
        if self.join(&lane, newcomer)? {
            // It writes for others too: none of their requests is this one.
            let session = Session { via: Via::default(), ..session };
            // It runs to its end even if this request is given up.
            drop(actix_web::web::block(move || self.lead(&db, &session, &lane)));
        }
        let done = in_time(answered, since, &has_begun).await?;
        done.map_err(|gone| Error::internal(format!("a group was abandoned: {gone}")))?
    }

    /// Whether the newcomer finds nobody at work and has to lead.
    fn join(&self, lane: &Lane<K>, newcomer: Waiting<T, R>) -> Result<bool> {
        match self.lanes().entry(lane.clone()) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::from([newcomer]));
                Ok(true)
            }
            Entry::Occupied(mut busy) if busy.get().len() < CAPACITY => {
                busy.get_mut().push_back(newcomer);
                Ok(false)
            }
            Entry::Occupied(_) => Err(Error::unavailable("too many writes wait in one lane")),
        }
    }

    /// Serves a lane until nobody waits there.
    fn lead(&self, db: &Db, session: &Session, lane: &Lane<K>) {
        let _abandoned = OnPanic(|| drop(self.lanes().remove(lane)));
        while let Some(crowd) = self.next_crowd(lane) {
            self.serve(db, session, &lane.kind, crowd);
        }
    }

    fn next_crowd(&self, lane: &Lane<K>) -> Option<Vec<Waiting<T, R>>> {
        let mut lanes = self.lanes();
        let waiting = lanes.get_mut(lane)?;
        if waiting.is_empty() {
            lanes.remove(lane);
            return None;
        }
        let crowd = waiting.len().min(CROWD);
        Some(waiting.drain(..crowd).collect())
    }

    fn serve(&self, db: &Db, session: &Session, kind: &K, crowd: Vec<Waiting<T, R>>) {
        let is_late = |waiting: &Waiting<T, R>| waiting.since.elapsed() >= CHECKOUT_TIMEOUT;
        let (late, punctual): (Vec<_>, Vec<_>) = crowd.into_iter().partition(is_late);
        for waiting in late {
            tell(waiting.answer, Err(Error::unavailable("waited too long for its turn")));
        }
        let Some(oldest) = punctual.first().map(|waiting| waiting.since) else { return };
        punctual.iter().for_each(|waiting| waiting.has_begun.store(true, Ordering::Relaxed));
        let (items, answers): (Vec<T>, Vec<_>) =
            punctual.into_iter().map(|waiting| (waiting.item, waiting.answer)).unzip();
        let results = queued_since(oldest, || self.store(db, session, kind, &items));
        let results =
            results.unwrap_or_else(|error| items.iter().map(|_| Err(error.clone())).collect());
        answers.into_iter().zip(results).for_each(|(answer, result)| tell(answer, result));
    }

    /// All in one transaction; each in one of its own where something is wrong with one that only
    /// the database can tell.
    fn store(&self, db: &Db, session: &Session, kind: &K, items: &[T]) -> Result<Vec<Result<R>>> {
        let together = db.write(session, &|tx| (self.work)(tx, kind, items).map(Outcome::Commit));
        let alone = |item| db.write(session, &|tx| self.alone(tx, kind, item).map(Outcome::Commit));
        match together {
            Err(error) if items.len() > 1 && error.is_fault() => {
                Ok(items.iter().map(alone).collect())
            }
            done => done,
        }
    }

    /// The work for a single write, in a transaction that is there already.
    pub fn alone(&self, tx: &mut Tx, kind: &K, item: &T) -> Result<R> {
        let mut done = (self.work)(tx, kind, std::slice::from_ref(item))?;
        done.pop().unwrap_or_else(|| Err(Error::internal("a write without a result")))
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<K, T, R>> {
        // Nothing is left half done while it is held.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever gave the request up does not hear the answer.
fn tell<R>(answer: oneshot::Sender<Result<R>>, result: Result<R>) {
    drop(answer.send(result));
}

/// Runs when its scope is left by a panic.
struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ActorKind;

    type Numbers = Group<(), usize, usize>;

    fn lane(workspace: u128) -> Lane<()> {
        let workspace = WorkspaceId::trusted(uuid::Uuid::from_u128(workspace));
        Lane { workspace, actor: Actor { kind: ActorKind::System, id: None }, kind: () }
    }

    fn waiting(item: usize) -> Waiting<usize, usize> {
        let (answer, has_begun) = (oneshot::channel().0, Arc::default());
        Waiting { item, answer, since: Instant::now(), has_begun }
    }

    fn numbers() -> Numbers {
        Group::new(|_, (), items| Ok(items.iter().copied().map(Ok).collect()))
    }

    #[test]
    fn the_first_of_a_lane_leads_and_the_next_wait() {
        let group = numbers();
        assert!(group.join(&lane(1), waiting(0)).expect("room"));
        assert!(!group.join(&lane(1), waiting(1)).expect("room"));
        assert!(group.join(&lane(2), waiting(2)).expect("another lane"));
    }

    #[test]
    fn a_lane_that_is_full_refuses_and_others_go_on() {
        let group = numbers();
        for item in 0..CAPACITY {
            group.join(&lane(1), waiting(item)).expect("room");
        }
        let refused = group.join(&lane(1), waiting(0)).expect_err("no room");
        assert_eq!(refused.status(), 503);
        group.join(&lane(2), waiting(0)).expect("room elsewhere");
    }

    #[test]
    fn a_lane_is_served_in_the_order_of_arrival_and_then_closed() {
        let group = numbers();
        for item in 0..CROWD + 3 {
            group.join(&lane(1), waiting(item)).expect("room");
        }
        let mut served = Vec::new();
        while let Some(crowd) = group.next_crowd(&lane(1)) {
            assert!(crowd.len() <= CROWD);
            served.extend(crowd.into_iter().map(|waiting| waiting.item));
        }
        assert!(served.is_sorted() && served.len() == CROWD + 3);
        assert!(group.join(&lane(1), waiting(0)).expect("room"), "the lane is free again");
    }
}
