//! Six networks, one a send class and horizon or lag, that do what the world says.

use std::time::Duration;

use async_trait::async_trait;
use carillon_networks::http::Reply;
use carillon_networks::spec::Placement;
use carillon_networks::{
    Class, Context, Error, Identity, Network, Polled, Prepared, Published, Remote, Rendition,
    SendClass, Spec, Window,
};

use super::process::{self, Gate, Process};
use super::world::{self, Answer, Effect, Handle, Request, Twice};

pub const KEYED: &str = "sim-keyed";
pub const HORIZON: &str = "sim-horizon";
pub const HANDLE: &str = "sim-handle";
pub const READABLE: &str = "sim-readable";
pub const LAGGING: &str = "sim-lagging";
pub const BLIND: &str = "sim-blind";
pub const ALL: [&str; 6] = [KEYED, HORIZON, HANDLE, READABLE, LAGGING, BLIND];

/// The lag that the lagging one declares, in ms.
pub const LAG: i64 = 60_000;
/// As the product's own setting, in ms.
const TIMEOUT: i64 = 20_000;

pub static NETWORKS: &[&dyn Network] = &[
    &Sim(&SPECS[0]),
    &Sim(&SPECS[1]),
    &Sim(&SPECS[2]),
    &Sim(&SPECS[3]),
    &Sim(&SPECS[4]),
    &Sim(&SPECS[5]),
];

static SPECS: [Spec; 6] = [
    spec(KEYED, &placements(SendClass::Keyed { horizon: None })),
    spec(HORIZON, &placements(SendClass::Keyed { horizon: Some(Duration::from_secs(3000)) })),
    spec(HANDLE, &placements(SendClass::Handle)),
    spec(READABLE, &placements(SendClass::Readable { lag: Duration::ZERO })),
    spec(LAGGING, &placements(SendClass::Readable { lag: Duration::from_millis(LAG as u64) })),
    spec(BLIND, &placements(SendClass::Blind)),
];

const fn spec(id: &'static str, placements: &'static [Placement]) -> Spec {
    Spec { base_url: "http://sim:0", ..Spec::bare(id, placements) }
}

/// A post, the next part of its thread, and a comment on it: all of one class.
const fn placements(send: SendClass) -> [Placement; 3] {
    [
        Placement::bare(send),
        Placement { id: "reply", follows: &["feed", "reply"], ..Placement::bare(send) },
        Placement { id: "comment", follows: &["feed"], ..Placement::bare(send) },
    ]
}

/// The send class of a network here.
pub fn class(id: &str) -> SendClass {
    SPECS.iter().find(|s| s.id == id).map_or(SendClass::Blind, |s| s.placements[0].send)
}

struct Sim(&'static Spec);

impl Sim {
    fn request(&self, cx: &Context<'_>, out: &Rendition) -> Request {
        Request {
            network: self.0.id,
            key: out.key.clone(),
            text: out.text.clone(),
            keyed: matches!(class(self.0.id), SendClass::Keyed { .. }),
            handle: cx.saved_str("container"),
            follows: out.reply_to.as_ref().map(|to| (to.root.id.clone(), to.parent.id.clone())),
        }
    }

    /// The three handles of a preparation, each kept as soon as it is there.
    async fn resume(&self, cx: &Context<'_>, p: &Process) -> Result<Prepared, Error> {
        for name in ["session", "upload", "container"] {
            if cx.saved(name).is_some() {
                continue;
            }
            p.gate(Gate::Call).await;
            let made = world::with(|w| {
                if w.prepare_fails(self.0.id) {
                    return None;
                }
                let id = w.name(name);
                let busy = i64::from(w.manners(self.0.id).prepare_works) * 5_000;
                let busy_until = if busy > 0 { w.now() + busy } else { 0 };
                w.handles.push(Handle { id: id.clone(), published: None, busy_until, gone: false });
                Some(id)
            });
            p.gate(Gate::Answer).await;
            let id = made.ok_or_else(|| Error::new(Class::Transient, "The network is away."))?;
            cx.checkpoint(name, id).await?;
        }
        p.gate(Gate::Call).await;
        let id = cx.saved_str("container").unwrap_or_default();
        let busy = world::with(|w| {
            let now = w.now();
            w.handle(&id).is_some_and(|h| h.busy_until > now)
        });
        p.gate(Gate::Answer).await;
        Ok(if busy {
            Prepared::Processing { again_in: Duration::from_secs(5) }
        } else {
            Prepared::Ready
        })
    }

    /// What the network does with the request, and what is heard: an answer, after so many ms.
    fn take(&self, request: Request) -> (Result<Published, Error>, i64) {
        world::with(|w| {
            let known = w.has(&request);
            let trouble = w.trouble(self.0.id, &request.text);
            if trouble.effect != Effect::No && !request.keyed && request.handle.is_none() {
                let twice = w.manners(self.0.id).twice;
                if let Some(first) = &known
                    && twice != Twice::Takes
                {
                    let mut e = Error::new(Class::Duplicate, "The network has this post already.");
                    e.existing = (twice == Twice::Names).then(|| first.clone());
                    return (Err(e), 0);
                }
            }
            if let Some(id) = &request.handle
                && w.handle(id).is_some_and(|h| h.published.is_some() || h.gone)
            {
                let e = Error::new(Class::Transient, "The container is used up.").code("used");
                return (Err(e), 0);
            }
            let mut id = None;
            match trouble.effect {
                Effect::No => {}
                Effect::Now => id = Some(w.apply(&request)),
                Effect::Late(ms) => {
                    // A handle tells that it is at work; a lost request is not known of anywhere.
                    let busy_until = w.now() + ms;
                    if let Some(handle) = request.handle.as_ref().and_then(|id| w.handle(id))
                        && trouble.answer == Answer::Processing
                    {
                        handle.busy_until = busy_until;
                    }
                    w.apply_late(request.clone(), ms);
                }
            }
            let wait = if trouble.answer == Answer::Timeout { TIMEOUT } else { 0 };
            (answer(trouble.answer, id), wait)
        })
    }

    async fn read(&self, p: &Process) -> Result<(), Error> {
        p.gate(Gate::Call).await;
        let refused = world::with(|w| std::mem::take(&mut w.manners(self.0.id).look_refused));
        let fails = world::with(|w| w.look_fails(self.0.id));
        p.gate(Gate::Answer).await;
        if refused {
            return Err(Error::new(Class::Auth, "The token is no longer good."));
        }
        if fails {
            return Err(Error::new(Class::Transient, "The network is away."));
        }
        Ok(())
    }
}

fn answer(answer: Answer, id: Option<String>) -> Result<Published, Error> {
    let say = |class, sentence: &str| Err(Error::new(class, sentence));
    let url = |id: &str| Some(format!("https://sim/{id}"));
    match answer {
        Answer::Good => match id {
            Some(id) => Ok(Published::Accepted(Remote { url: url(&id), id })),
            None => say(Class::Unknown, "The network said nothing of the post."),
        },
        Answer::Processing => Ok(Published::Processing { again_in: Duration::from_secs(5) }),
        Answer::Timeout => say(Class::Unknown, "No answer came in time."),
        Answer::Reset => say(Class::Unknown, "The connection broke."),
        Answer::Garbage => Err(Error::garbled("a page of HTML")),
        Answer::ServerError => {
            Err(Error::new(Class::Transient, "It failed inside.").status(502).maybe_applied())
        }
        Answer::NotSent => say(Class::Transient, "The network could not be reached."),
        Answer::Unavailable => say(Class::Transient, "The network takes nothing at the moment."),
        Answer::RateLimit => Err(Error::new(Class::RateLimit, "Too many calls.")
            .retry_after(Some(Duration::from_secs(60)))),
        Answer::Quota => Err(Error::new(Class::Quota, "The day's posts are used up.")
            .retry_after(Some(Duration::from_secs(600)))),
        Answer::Auth => say(Class::Auth, "The token is no longer good."),
        Answer::Content => say(Class::Content, "The text is refused."),
        Answer::Policy => say(Class::Policy, "It looks like spam."),
        Answer::Duplicate => say(Class::Duplicate, "The network has this post already."),
    }
}

#[async_trait]
impl Network for Sim {
    fn spec(&self) -> &'static Spec {
        self.0
    }

    async fn check(&self, _: &Context<'_>) -> Result<Identity, Error> {
        Ok(Identity { remote_id: self.0.id.into(), name: "sim".into(), ..Identity::default() })
    }

    async fn prepare(&self, cx: &Context<'_>, _: &Rendition) -> Result<Prepared, Error> {
        let p = process(cx)?;
        if class(self.0.id) == SendClass::Handle {
            return self.resume(cx, &p).await;
        }
        p.gate(Gate::Call).await;
        let fails = world::with(|w| w.prepare_fails(self.0.id));
        p.gate(Gate::Answer).await;
        if fails {
            return Err(Error::new(Class::Transient, "The network is away."));
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let p = process(cx)?;
        p.gate(Gate::Send).await;
        let (answer, wait) = self.take(self.request(cx, out));
        if wait > 0 {
            p.sleep(wait).await;
        }
        p.gate(Gate::Answer).await;
        answer
    }

    async fn poll(&self, cx: &Context<'_>, _: &Rendition) -> Result<Polled, Error> {
        self.read(&*process(cx)?).await?;
        let id = cx.saved_str("container").unwrap_or_default();
        Ok(world::with(|w| {
            w.settle();
            let expires = w.manners(self.0.id).expires;
            let now = w.now();
            let Some(handle) = w.handle(&id) else { return gone() };
            match &handle.published {
                Some(id) => Polled::Published(Remote { id: id.clone(), url: None }),
                None if expires => {
                    handle.gone = true;
                    gone()
                }
                None if handle.busy_until > now => {
                    Polled::Processing { again_in: Duration::from_secs(5) }
                }
                None => Polled::NotPublished,
            }
        }))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        if class(self.0.id) == SendClass::Blind {
            return Err(Error::unsupported("look_up"));
        }
        self.read(&*process(cx)?).await?;
        let keyed = matches!(class(self.0.id), SendClass::Keyed { .. });
        Ok(world::with(|w| {
            w.settle();
            let now = w.now();
            let ours = w.posts.iter().filter(|p| {
                p.network == self.0.id
                    && p.listed_at <= now
                    && (window.since..=window.until).contains(&p.at)
                    && if keyed { p.key == out.key } else { p.text == out.text }
            });
            ours.map(|p| Remote { id: p.id.clone(), url: None }).collect()
        }))
    }

    fn parse_error(&self, _: &Reply) -> Error {
        Error::new(Class::Unknown, "The simulation sends no replies.")
    }
}

fn gone() -> Polled {
    Polled::Gone(Error::new(Class::Transient, "The container has expired.").restart())
}

fn process(cx: &Context<'_>) -> Result<std::sync::Arc<Process>, Error> {
    process::caller(cx.base)
        .ok_or_else(|| Error::new(Class::Config, format!("Nobody calls from `{}`.", cx.base)))
}
