//! The operator's apps at networks: what a consent page knows us by.

use crate::db::{Error, Row, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkApp {
    pub network: String,
    /// The server that knows it, where a network is many; else empty.
    pub server: String,
    pub client_id: String,
    /// Sealed with the key ring.
    pub secret: String,
    /// Of one that was registered by itself: where its consent page leads back to.
    pub redirect_uri: Option<String>,
    pub created_at: i64,
}

impl NetworkApp {
    /// What its row is called where its secret is sealed.
    pub fn row(&self) -> String {
        format!("{} {}", self.network, self.server)
    }
}

/// Puts an app in the place of the one that was there.
pub async fn set(tx: &Tx, app: &NetworkApp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO network_app (network, server, client_id, secret, redirect_uri, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (network, server) DO UPDATE SET \
         client_id = excluded.client_id, secret = excluded.secret, redirect_uri = excluded.redirect_uri, \
         created_at = excluded.created_at",
        params![
            &app.network,
            &app.server,
            &app.client_id,
            &app.secret,
            app.redirect_uri.clone(),
            app.created_at
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, network: &str, server: &str) -> Result<Option<NetworkApp>, Error> {
    let row = tx
        .row(
            "SELECT * FROM network_app WHERE network = $1 AND server = $2",
            params![network, server],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

pub async fn list(tx: &Tx) -> Result<Vec<NetworkApp>, Error> {
    let rows = tx.rows("SELECT * FROM network_app ORDER BY network, server", params![]).await?;
    rows.iter().map(read).collect()
}

/// `false` when there was none.
pub async fn remove(tx: &Tx, network: &str, server: &str) -> Result<bool, Error> {
    let removed = tx
        .execute(
            "DELETE FROM network_app WHERE network = $1 AND server = $2",
            params![network, server],
        )
        .await?;
    Ok(removed == 1)
}

fn read(r: &Row) -> Result<NetworkApp, Error> {
    Ok(NetworkApp {
        network: r.text("network")?,
        server: r.text("server")?,
        client_id: r.text("client_id")?,
        secret: r.text("secret")?,
        redirect_uri: r.opt_text("redirect_uri")?,
        created_at: r.int("created_at")?,
    })
}
