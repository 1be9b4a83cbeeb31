//! A line to a network for one call that is no step of a delivery: changing, measuring or taking
//! down what is live.

use carillon_networks::{Account, Class, Context, Error, Network};

use super::account::{self, Renewals};
use super::tokens::{self, After};
use crate::App;
use crate::db;
use crate::domain::refusal::Refusal;
use crate::store::connections::{self, Connection};
use crate::store::deliveries::Delivery;

/// A connection opened for one call.
pub(super) struct Line<'a> {
    app: &'a App,
    network: &'static dyn Network,
    account: Account,
    base: String,
    keeper: Renewals<'a>,
}

impl<'a> Line<'a> {
    pub(super) fn open(
        app: &'a App,
        network: &'static dyn Network,
        connection: &'a Connection,
    ) -> Result<Self, Refusal> {
        let account = account::open(app, connection)?;
        let base = account::base(app, network, &connection.settings);
        let keeper = Renewals { app, connection: &connection.id };
        Ok(Self { app, network, account, base, keeper })
    }

    pub(super) fn context(&self, d: &Delivery) -> Context<'_> {
        Context::new(
            &self.app.http,
            &self.account,
            &self.base,
            self.app.clock.now(),
            self.app.config.networks.timeout,
            d.checkpoints.clone(),
            &self.keeper,
        )
    }

    /// What the network answered, as it may be kept and shown: it may quote the token.
    pub(super) fn told<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        let told = |e| account::in_words(e, self.network, &self.base);
        answer.map_err(|e| account::hushed(told(e), &self.account))
    }
}

/// The connection with tokens that last for a call now.
pub(super) async fn fresh(app: &App, known: &Connection) -> Result<Connection, Refusal> {
    let newer = Box::pin(tokens::fresh(app, known)).await?;
    Ok(newer.unwrap_or_else(|| known.clone()))
}

/// What to do after a call was refused: `Again` with the connection as it is by then.
pub(super) enum Next {
    Again(Box<Connection>),
    /// As [`After::Wait`] and [`After::Refused`].
    Not(After),
}

/// After a network refused a call on this connection.
pub(super) async fn after(app: &App, known: &Connection, e: &Error) -> Result<Next, db::Error> {
    if e.class != Class::Auth {
        return Ok(Next::Not(After::Refused(None)));
    }
    match Box::pin(tokens::after(app, known, e)).await? {
        After::Again => {
            let id = known.id.clone();
            let found = app.db.read(move |tx| async move { connections::load(&tx, &id).await });
            Ok(Next::Again(Box::new(found.await?.unwrap_or_else(|| known.clone()))))
        }
        other => Ok(Next::Not(other)),
    }
}
