//! Judged by doing it, and taken back.

use std::convert::Infallible;
use std::future::Future;

use crate::db::{self, Db, Tx};
use crate::domain::refusal::Refusal;

/// Ends a transaction, and takes what came of it out of there.
pub(super) enum Stop<T> {
    With(T),
    No(Refusal),
}

impl<T> From<db::Error> for Stop<T> {
    fn from(e: db::Error) -> Self {
        Self::No(e.into())
    }
}

impl<T> From<Refusal> for Stop<T> {
    fn from(e: Refusal) -> Self {
        Self::No(e)
    }
}

/// What a unit of work that writes comes to; nothing of it stands.
pub(super) async fn rehearse<T, F, Fut>(db: &Db, unit: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce(Tx) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let tried = db
        .write(move |tx| {
            let unit = unit(tx);
            async move { Err::<Infallible, _>(Stop::With(unit.await?)) }
        })
        .await;
    match tried {
        Ok(never) => match never {},
        Err(Stop::With(found)) => Ok(found),
        Err(Stop::No(e)) => Err(e),
    }
}
