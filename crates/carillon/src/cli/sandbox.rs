//! `carillon sandbox`: the networks' own APIs on one port.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::Out;

pub(super) const EXAMPLES: &str = "Examples:\n  carillon sandbox --listen 127.0.0.1:4000\n  carillon serve --demo --sandbox http://127.0.0.1:4000\n  curl -X POST http://127.0.0.1:4000/_faults -H 'content-type: application/json' \\\n       -d '{\"network\":\"mastodon\",\"call\":\"publish\",\"fault\":\"reset_after_accept\",\"times\":1}'";

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    /// How long every answer takes, in ms
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
}

impl Serve {
    pub(super) async fn run(&self, out: &Out) -> anyhow::Result<()> {
        let options = carillon_sandbox::Options {
            latency: Duration::from_millis(self.latency),
            ..carillon_sandbox::Options::default()
        };
        let sandbox = carillon_sandbox::Sandbox::start(self.listen, options).await?;
        out.show(&serde_json::json!({ "url": sandbox.url() }), |_| {
            format!(
                "listening on {}\nWhat was posted is shown there; nothing of it is public.",
                sandbox.url()
            )
        });
        super::serve::ended().await;
        Ok(())
    }
}
