//! A network that answers at once: publishing runs the measurement's handler. What it shows is its
//! ledger, so that a look after a crash finds what was there.

use std::sync::OnceLock;

use async_trait::async_trait;
use carillon_bench_contender::{Handler, Job};
use carillon_networks::http::Reply;
use carillon_networks::spec::{Placement, SendClass, Spec};
use carillon_networks::{
    Class, Context, Error, Identity, Network, Polled, Published, Remote, Rendition,
};

// A handle: a state that can be read at the first look.
pub(super) static SPEC: Spec = Spec::bare("instant", &[Placement::bare(SendClass::Handle)]);

#[derive(Default)]
pub(super) struct Instant {
    handler: OnceLock<Handler>,
}

impl Instant {
    pub(super) fn answer_with(&self, handler: Handler) -> anyhow::Result<()> {
        self.handler.set(handler).map_err(|_| anyhow::anyhow!("a worker runs already"))
    }

    fn handler(&self) -> Result<&Handler, Error> {
        self.handler.get().ok_or_else(|| failed("nobody answers yet"))
    }
}

/// What a delivery of this job says.
pub(super) fn text(job: Job) -> String {
    format!("{} {}", job.id, job.t)
}

fn job(out: &Rendition) -> Result<Job, Error> {
    let numbers =
        out.text.split_once(' ').and_then(|(id, t)| Some((id.parse().ok()?, t.parse().ok()?)));
    let (id, t) = numbers.ok_or_else(|| failed("the text is none of the benchmark's"))?;
    Ok(Job { id, t })
}

/// Stable over every try, and never the same twice: a measurement may number its jobs anew.
fn remote(out: &Rendition) -> Remote {
    Remote { id: out.key.clone(), url: None }
}

fn failed(why: impl Into<String>) -> Error {
    Error::new(Class::Transient, why.into())
}

#[async_trait]
impl Network for Instant {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, _: &Context<'_>) -> Result<Identity, Error> {
        Ok(Identity::default())
    }

    async fn publish(&self, _: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let job = job(out)?;
        self.handler()?.run(job).await.map_err(|e| failed(e.to_string()))?;
        Ok(Published::Accepted(remote(out)))
    }

    async fn poll(&self, _: &Context<'_>, out: &Rendition) -> Result<Polled, Error> {
        let job = job(out)?;
        let Some(ledger) = self.handler()?.ledger() else {
            return Err(failed("nothing was written down"));
        };
        let lines = std::fs::read_to_string(ledger).map_err(|e| failed(e.to_string()))?;
        let there = lines.lines().any(|line| line.parse() == Ok(job.id));
        Ok(if there { Polled::Published(remote(out)) } else { Polled::NotPublished })
    }

    fn parse_error(&self, _: &Reply) -> Error {
        failed("there is no protocol to fail")
    }
}
