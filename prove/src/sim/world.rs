//! What is true at the networks: every post, when it became visible, when a listing shows it.
//!
//! Followers see `posts`; the product sees only answers, and those may be lost or lie. The
//! networks' time is the steady one plus what the machine slept; ours may be set.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use carillon::clock::Clock;

use super::process::Process;
use super::rng::Rng;

/// What a request does at the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Now,
    No,
    /// So many ms after it arrived.
    Late(i64),
}

/// What is heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Good,
    /// It works on it, and shows it by itself later.
    Processing,
    Timeout,
    Reset,
    ServerError,
    /// A good status and nothing that can be read.
    Garbage,
    NotSent,
    Unavailable,
    RateLimit,
    Quota,
    Auth,
    Content,
    Policy,
    Duplicate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    pub effect: Effect,
    pub answer: Answer,
}

impl Trouble {
    pub const NONE: Self = Self { effect: Effect::Now, answer: Answer::Good };

    /// Does the answer leave open whether the post is there?
    pub fn doubtful(self) -> bool {
        use Answer::{Garbage, Reset, ServerError, Timeout};
        matches!(self.answer, Timeout | Reset | ServerError | Garbage)
    }
}

/// How a network refuses what it has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// It does not: there are two.
    Takes,
    /// And says which one it has.
    Names,
    Refuses,
}

/// How a network behaves in a run.
#[derive(Debug, Clone)]
pub struct Manners {
    /// What befalls the first calls that show something.
    pub sends: VecDeque<Trouble>,
    /// So many looks, polls included, fail.
    pub looks_down: u32,
    /// The first look is refused: the token is no longer good.
    pub look_refused: bool,
    /// So many prepares fail, and so many say "working on it".
    pub prepare_down: u32,
    pub prepare_works: u32,
    /// So long a listing takes to show a post, in ms.
    pub lag: i64,
    pub twice: Twice,
    /// A handle that was not published is gone at the first poll.
    pub expires: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            sends: VecDeque::new(),
            looks_down: 0,
            look_refused: false,
            prepare_down: 0,
            prepare_works: 0,
            lag: 0,
            twice: Twice::Takes,
            expires: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub network: &'static str,
    pub id: String,
    /// Of the delivery that it is.
    pub key: String,
    pub text: String,
    pub at: i64,
    pub listed_at: i64,
    /// The ids of the post at the head and of the one right before, where it follows another.
    pub follows: Option<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Handle {
    pub id: String,
    pub published: Option<String>,
    /// Says "working on it" until then.
    pub busy_until: i64,
    pub gone: bool,
}

/// A request as the network gets it.
#[derive(Debug, Clone)]
pub struct Request {
    pub network: &'static str,
    pub key: String,
    pub text: String,
    pub keyed: bool,
    pub handle: Option<String>,
    pub follows: Option<(String, String)>,
}

/// Chances in a thousand calls, for runs by seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub sends: u64,
    pub looks: u64,
    pub prepares: u64,
}

#[derive(Default)]
pub struct World {
    clock: Option<Clock>,
    /// How long the machine slept, in ms.
    pub slept: i64,
    pub posts: Vec<Post>,
    pub handles: Vec<Handle>,
    late: Vec<(i64, Request)>,
    pub manners: BTreeMap<&'static str, Manners>,
    pub weather: Option<(Rng, Weather)>,
    /// What each delivery was scheduled with, by its id.
    pub texts: BTreeMap<String, String>,
    pub processes: BTreeMap<u64, Arc<Process>>,
    /// Steady times at which somebody wants to be woken.
    pub wakes: BTreeSet<i64>,
    made: u64,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// The world of this thread. Not to be asked from inside itself.
pub fn with<T>(ask: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(ask)
}

/// A new world, on this clock.
pub fn begin(clock: &Clock) {
    let fresh = World { clock: Some(clock.clone()), ..World::default() };
    // The old one may hold tasks' handles: it goes after the new one stands.
    let old = with(|w| std::mem::replace(w, fresh));
    drop(old);
}

impl World {
    /// The networks' time, in ms.
    pub fn now(&self) -> i64 {
        self.clock.as_ref().map_or(0, Clock::mono) + self.slept
    }

    pub fn manners(&mut self, network: &'static str) -> &mut Manners {
        self.manners.entry(network).or_default()
    }

    /// What becomes of the next request that shows something.
    pub fn trouble(&mut self, network: &'static str, text: &str) -> Trouble {
        if text.contains("forbidden") {
            return Trouble { effect: Effect::No, answer: Answer::Content };
        }
        if let Some(next) = self.manners(network).sends.pop_front() {
            return next;
        }
        let Some((rng, weather)) = self.weather.as_mut() else { return Trouble::NONE };
        if !rng.chance(weather.sends) {
            return Trouble::NONE;
        }
        let effect = match rng.below(3) {
            0 => Effect::Now,
            1 => Effect::No,
            _ => Effect::Late(rng.between(100, 25_000)),
        };
        let lost = [Answer::Timeout, Answer::Reset, Answer::ServerError, Answer::Garbage];
        let clear = [Answer::NotSent, Answer::Unavailable, Answer::RateLimit, Answer::Auth];
        if rng.chance(750) {
            Trouble { effect, answer: lost[rng.below(4) as usize] }
        } else {
            Trouble { effect: Effect::No, answer: clear[rng.below(4) as usize] }
        }
    }

    /// Does the next read fail?
    pub fn look_fails(&mut self, network: &'static str) -> bool {
        let manners = self.manners(network);
        if manners.looks_down > 0 {
            manners.looks_down -= 1;
            return true;
        }
        self.weather.as_mut().is_some_and(|(rng, weather)| rng.chance(weather.looks))
    }

    pub fn prepare_fails(&mut self, network: &'static str) -> bool {
        let manners = self.manners(network);
        if manners.prepare_down > 0 {
            manners.prepare_down -= 1;
            return true;
        }
        self.weather.as_mut().is_some_and(|(rng, weather)| rng.chance(weather.prepares))
    }

    /// A name nothing else has.
    pub fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}{}", self.made)
    }

    pub fn handle(&mut self, id: &str) -> Option<&mut Handle> {
        self.handles.iter_mut().find(|h| h.id == id)
    }

    /// Is it there already, as this network counts?
    pub fn has(&mut self, request: &Request) -> Option<String> {
        self.settle();
        let found =
            self.posts.iter().find(|p| p.network == request.network && p.key == request.key);
        found.map(|p| p.id.clone())
    }

    /// Shows it, now; the post's id.
    pub fn apply(&mut self, request: &Request) -> String {
        self.settle();
        self.show(request, self.now())
    }

    pub fn apply_late(&mut self, request: Request, after: i64) {
        self.late.push((self.now() + after, request));
    }

    fn show(&mut self, request: &Request, at: i64) -> String {
        if request.keyed
            && let Some(first) = self
                .posts
                .iter()
                .find(|p| p.network == request.network && p.key == request.key)
            // Keys are kept for an hour at least by whoever keeps them at all.
            && (request.network != super::network::HORIZON || at - first.at < 3_600_000)
        {
            return first.id.clone();
        }
        if let Some(id) = &request.handle
            && let Some(published) = self.handle(id).and_then(|h| h.published.clone())
        {
            return published;
        }
        let id = self.name("post");
        let lag = self.manners(request.network).lag;
        self.posts.push(Post {
            network: request.network,
            id: id.clone(),
            key: request.key.clone(),
            text: request.text.clone(),
            at,
            listed_at: at + lag,
            follows: request.follows.clone(),
        });
        if let Some(handle) = &request.handle
            && let Some(handle) = self.handle(handle)
        {
            handle.published = Some(id.clone());
        }
        id
    }

    /// Lets happen what was under way until now.
    pub fn settle(&mut self) {
        let now = self.now();
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|l| l.0 <= now);
        self.late = later;
        let due: Vec<(i64, Request)> = due;
        for (at, request) in due {
            self.show(&request, at);
        }
    }

    /// Is something under way?
    pub fn pending(&self) -> bool {
        !self.late.is_empty()
    }

    /// What followers see of one delivery.
    pub fn visible(&mut self, key: &str) -> Vec<Post> {
        self.settle();
        self.posts.iter().filter(|p| p.key == key).cloned().collect()
    }
}
