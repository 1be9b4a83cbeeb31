//! Many calls of one kind in one unit of work: those that come while one is under way are the next.
//!
//! Nobody waits for company: a call that finds nothing under way begins at once, alone. So load
//! sets the size of a batch, and a quiet system has batches of one. For what is a transaction a
//! delivery (publishing/): its trips and its fsync are shared. Where a unit fails because of one of
//! its items, each is done alone, so that nobody fails for a neighbour.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

use super::{Db, Error, Tx};

/// Most calls in one batch: bounds how long the first of them waits.
const MOST: usize = 256;

/// Why items were not done.
pub trait Fault: From<Error> + Clone + Send + 'static {
    /// It would meet every unit of work right now.
    fn is_everybodys(&self) -> bool;
}

impl Fault for Error {
    fn is_everybodys(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::CommitUnknown(_))
    }
}

impl Db {
    /// Has `item` done in one writing unit of work with whatever else of its type waits. The unit
    /// answers for each item in its place; an item that it answers `Err` for must be one that it
    /// changed nothing for. When the unit itself fails nothing of it stands.
    pub async fn write_together<I, O, E, F, Fut>(&self, item: I, unit: F) -> Result<O, E>
    where
        I: Clone + Send + Sync + 'static,
        O: Send + 'static,
        E: Fault,
        F: Fn(Tx, Arc<[I]>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Result<O, E>>, E>> + Send + 'static,
    {
        let db = self.clone();
        let once = move |items| {
            let (db, unit) = (db.clone(), unit.clone());
            async move { db.write(move |tx| unit(tx, items)).await }.boxed()
        };
        self.together(item, once).await
    }

    /// The same for a unit of work that only reads.
    pub async fn read_together<I, O, E, F, Fut>(&self, item: I, unit: F) -> Result<O, E>
    where
        I: Clone + Send + Sync + 'static,
        O: Send + 'static,
        E: Fault,
        F: Fn(Tx, Arc<[I]>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Result<O, E>>, E>> + Send + 'static,
    {
        let db = self.clone();
        let once = move |items| {
            let (db, unit) = (db.clone(), unit.clone());
            async move { db.read(move |tx| unit(tx, items)).await }.boxed()
        };
        self.together(item, once).await
    }

    async fn together<I, O, E>(
        &self,
        item: I,
        once: impl Fn(Arc<[I]>) -> BoxFuture<'static, Done<O, E>> + Send + Sync,
    ) -> Result<O, E>
    where
        I: Clone + Send + Sync + 'static,
        O: Send + 'static,
        E: Fault,
    {
        let kind = self.together.of::<I, Result<O, E>>();
        let done = kind.call(item, |items| each_answered(items, once)).await;
        done.unwrap_or_else(|| Err(lost()))
    }
}

/// What a unit of work answers for its items.
type Done<O, E> = Result<Vec<Result<O, E>>, E>;

async fn each_answered<I: Clone, O, E: Fault>(
    items: Vec<I>,
    once: impl Fn(Arc<[I]>) -> BoxFuture<'static, Done<O, E>>,
) -> Vec<Result<O, E>> {
    match once(items.clone().into()).await {
        Ok(answers) => answers,
        Err(e) if items.len() == 1 || e.is_everybodys() => {
            items.iter().map(|_| Err(e.clone())).collect()
        }
        Err(_) => {
            let mut answers = Vec::with_capacity(items.len());
            for item in items {
                let alone = once(Arc::new([item])).await;
                answers.push(alone.and_then(|mut a| a.pop().unwrap_or_else(|| Err(lost()))));
            }
            answers
        }
    }
}

/// Whoever had it in hand is gone.
fn lost<E: From<Error>>() -> E {
    Error::CommitUnknown("the call that it was part of did not come to its end".into()).into()
}

/// Where the calls of one kind meet.
struct Together<I, O> {
    waiting: Mutex<Vec<Waiting<I, O>>>,
    turn: Semaphore,
}

/// One [`Together`] for each kind of call that was made.
#[derive(Default)]
pub(super) struct Kinds(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Kinds {
    fn of<I: Send + 'static, O: Send + 'static>(&self) -> Arc<Together<I, O>> {
        let mut kinds = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let id = TypeId::of::<Together<I, O>>();
        let new = || Arc::new(Together::<I, O>::default());
        let kind = kinds.entry(id).or_insert_with(|| new()).clone();
        kind.downcast().unwrap_or_else(|_| new())
    }
}

struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<O>,
}

impl<I, O> Default for Together<I, O> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl<I, O> Together<I, O> {
    /// Has `item` done by whichever caller's `run` comes to it; `run` answers for each item in its
    /// place. `None` when the caller that had it in hand was dropped: whether it was done is not
    /// known.
    async fn call<Fut>(&self, item: I, run: impl FnOnce(Vec<I>) -> Fut) -> Option<O>
    where
        Fut: Future<Output = Vec<O>>,
    {
        let (answer, mut answered) = oneshot::channel();
        self.lock().push(Waiting { item, answer });
        let turn = tokio::select! {
            biased;
            answer = &mut answered => return answer.ok(),
            turn = self.turn.acquire() => turn.ok()?,
        };
        let batch: Vec<Waiting<I, O>> = {
            let mut waiting = self.lock();
            let most = waiting.len().min(MOST);
            waiting.drain(..most).collect()
        };
        if !batch.is_empty() {
            let (items, answers): (Vec<I>, Vec<_>) =
                batch.into_iter().map(|w| (w.item, w.answer)).unzip();
            for (answer, done) in answers.into_iter().zip(run(items).await) {
                // Who asked may have gone away; it is done all the same.
                let _ = answer.send(done);
            }
        }
        drop(turn);
        answered.await.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<I, O>>> {
        self.waiting.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_call_that_finds_nothing_under_way_is_alone() {
        let together = Arc::new(Together::<u32, u32>::default());
        let double = |items: Vec<u32>| async move { items.iter().map(|i| i * 2).collect() };
        assert_eq!(together.call(4, double).await, Some(8));
    }

    #[tokio::test]
    async fn those_that_come_meanwhile_are_one_batch_and_each_gets_its_own_answer() {
        let (together, gate) = (Arc::new(Together::<u32, u32>::default()), Arc::new(Notify::new()));
        let batches = Arc::new(AtomicUsize::new(0));
        let call = |item: u32| {
            let (together, gate, batches) = (together.clone(), gate.clone(), batches.clone());
            tokio::spawn(async move {
                let run = |items: Vec<u32>| async move {
                    if batches.fetch_add(1, Ordering::SeqCst) == 0 {
                        gate.notified().await;
                    }
                    items.iter().map(|i| i * 2).collect()
                };
                together.call(item, run).await
            })
        };
        let calls: Vec<_> = (0..50).map(call).collect();
        while together.lock().len() < 49 {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        for (item, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.expect("it ends"), Some(item as u32 * 2));
        }
        assert_eq!(batches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn more_than_a_batch_takes_are_left_for_the_next() {
        let (together, gate) =
            (Arc::new(Together::<u32, usize>::default()), Arc::new(Notify::new()));
        let first = tokio::spawn({
            let (together, gate) = (together.clone(), gate.clone());
            async move {
                let run = |items: Vec<u32>| async move {
                    gate.notified().await;
                    vec![items.len(); items.len()]
                };
                together.call(0, run).await
            }
        });
        tokio::task::yield_now().await;
        let rest: Vec<_> = (0..MOST + 10)
            .map(|_| {
                let together = together.clone();
                let run = |items: Vec<u32>| async move { vec![items.len(); items.len()] };
                tokio::spawn(async move { together.call(1, run).await })
            })
            .collect();
        while together.lock().len() < MOST + 10 {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        assert_eq!(first.await.expect("it ends"), Some(1));
        let mut sizes = Vec::new();
        for call in rest {
            sizes.push(call.await.expect("it ends").expect("an answer"));
        }
        sizes.sort_unstable();
        assert_eq!((sizes[0], sizes[MOST + 9]), (10, MOST));
    }

    #[tokio::test]
    async fn a_dropped_batch_says_so_and_the_next_goes_on() {
        let together = Arc::new(Together::<u32, u32>::default());
        let stuck = tokio::spawn({
            let together = together.clone();
            async move { together.call(1, |_| std::future::pending()).await }
        });
        tokio::task::yield_now().await;
        let double = |items: Vec<u32>| async move { items.iter().map(|i| i * 2).collect() };
        let behind = tokio::spawn({
            let together = together.clone();
            async move { together.call(2, double).await }
        });
        tokio::task::yield_now().await;
        stuck.abort();
        assert_eq!(behind.await.expect("it ends"), Some(4), "it was not in the batch");
        assert_eq!(together.call(3, double).await, Some(6));
    }
}
