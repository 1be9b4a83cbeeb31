//! The scenarios of the crash sweep: which network, which fault, which shape.

use std::collections::VecDeque;

use crate::Scale;
use crate::sim::network::{ALL, BLIND, HANDLE, HORIZON, KEYED, LAG, LAGGING, READABLE};
use crate::sim::world::{Answer, Effect, Manners, Trouble, Twice};

/// What a person does on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Cancel,
    Retry,
    Edit,
    Move,
    /// A person edits it, and another node is the first to look for work then.
    EditElsewhere,
    /// Not a person but another node: it looks for leases that ended.
    Sweep,
    /// The process stands still for so long that another node takes its work over and ends it;
    /// then it goes on.
    TakeOver,
    /// The same, but the other node stands at this gate of its own while the first goes on.
    Overtake(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// While the first process stands at this gate.
    Gate(u64),
    /// When nothing is left to do.
    End,
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub network: &'static str,
    pub fault: String,
    pub manners: Manners,
    pub text: &'static str,
    /// So many posts on one lane; the fault meets the first.
    pub posts: usize,
    /// With the same text.
    pub twins: bool,
    /// With two more parts behind it, and a first comment.
    pub thread: bool,
    pub act: Option<(Does, When)>,
    /// How long a restart takes, in ms.
    pub rest: i64,
    /// The network leaves it open, whatever the product does.
    pub may_ask: bool,
    pub may_fail: bool,
    /// Die at every gate? Else it is run once.
    pub deaths: bool,
    /// Short enough for every pair of deaths.
    pub pairs: bool,
}

impl Scenario {
    pub fn name(&self) -> String {
        let act = self.act.map_or(String::new(), |(does, when)| format!(", {does:?} at {when:?}"));
        format!(
            "{}, {}, {} {}, {} s rest{act}",
            self.network,
            self.fault,
            self.posts,
            if self.thread { "thread" } else { "post(s)" },
            self.rest / 1000
        )
    }

    /// May a person be asked? Where nothing can be read back, after every doubt; of two that look
    /// alike, when both are in doubt; else never.
    pub fn may_ask(&self, troubled: bool) -> bool {
        self.may_ask
            || (self.twins && troubled)
            || (self.network == BLIND
                && matches!(self.act, Some((Does::TakeOver | Does::Overtake(_), _))))
            || (self.network == BLIND
                && (troubled || self.manners.sends.iter().any(|t| t.doubtful())))
    }

    /// One of those that every bounded run dies through gate by gate.
    pub fn core(&self) -> bool {
        self.posts == 1
            && self.act.is_none()
            && ["none", "Now Reset", "Now Reset at the 2nd"].contains(&self.fault.as_str())
    }

    fn of(network: &'static str, fault: impl Into<String>, manners: Manners) -> Self {
        Self {
            network,
            fault: fault.into(),
            manners,
            text: "Doors open at seven",
            posts: 1,
            twins: false,
            thread: false,
            act: None,
            rest: 1_000,
            may_ask: false,
            may_fail: false,
            deaths: true,
            pairs: true,
        }
    }
}

/// Everything that is swept.
pub fn all(scale: Scale) -> Vec<Scenario> {
    let faults: Vec<Scenario> = ALL.iter().flat_map(|n| faults(n)).collect();
    let mut all = faults.clone();
    let full = scale == Scale::Full;
    for s in &faults {
        // Two on a lane, and a restart that takes longer than a lease.
        let two = Scenario { posts: 2, pairs: false, ..s.clone() };
        let slow = Scenario { rest: 70_000, pairs: false, ..s.clone() };
        if full && !s.fault.starts_with("hidden") {
            all.extend([two, slow]);
        } else if ["none", "Now Reset", "No Timeout"].contains(&s.fault.as_str()) {
            all.push(two);
        }
    }
    for s in &faults {
        let plain = ["none", "Now Reset", "No Reset", "No Content", "No Auth"];
        if !plain.contains(&s.fault.as_str()) {
            continue;
        }
        for does in [Does::Sweep, Does::TakeOver] {
            // An hour without its owner is what makes a post late, and rightly so.
            if s.fault == "No Auth" || (!full && !s.core()) {
                continue;
            }
            // The even ones follow on what a process did.
            let gates = (2..60).step_by(if full { 1 } else { 2 }).map(When::Gate);
            let once = Scenario { deaths: false, pairs: false, ..s.clone() };
            all.extend(gates.map(|when| Scenario { act: Some((does, when)), ..once.clone() }));
        }
        if full || (s.network, s.fault.as_str()) == (READABLE, "Now Reset") {
            let gates = (2..60).map(When::Gate);
            let once = Scenario { deaths: false, pairs: false, ..s.clone() };
            let act = |when| Some((Does::EditElsewhere, when));
            all.extend(gates.map(|when| Scenario { act: act(when), ..once.clone() }));
        }
        for does in [Does::Cancel, Does::Retry, Does::Edit, Does::Move] {
            let gates: Vec<u64> = if full { (1..70).step_by(3).collect() } else { vec![9, 17] };
            let gates = gates.into_iter().map(When::Gate);
            for when in gates.chain([When::End]) {
                if !full && !["none", "Now Reset"].contains(&s.fault.as_str()) {
                    continue;
                }
                all.push(Scenario { act: Some((does, when)), pairs: false, ..s.clone() });
            }
        }
    }
    all.extend(faults.iter().flat_map(|s| overtaken(s, full)));
    all.extend(ALL.iter().flat_map(|n| threads(n, full)));
    all
}

/// Each stands in the middle of the other's work, at every pair of places.
fn overtaken(s: &Scenario, full: bool) -> Vec<Scenario> {
    let met = ["none", "Now Reset", "No Reset", "No Unavailable"].contains(&s.fault.as_str());
    if !met || !(full || (s.network, s.fault.as_str()) == (READABLE, "No Unavailable")) {
        return Vec::new();
    }
    let once = Scenario { deaths: false, pairs: false, ..s.clone() };
    let pairs = (2..40).step_by(2).flat_map(|first| (2..100).step_by(2).map(move |n| (first, n)));
    let at = |(first, n)| Some((Does::Overtake(n), When::Gate(first)));
    pairs.map(|pair| Scenario { act: at(pair), ..once.clone() }).collect()
}

/// A head, two parts behind it and a first comment: the fault meets one of the four.
fn threads(network: &'static str, full: bool) -> Vec<Scenario> {
    let lag = if network == LAGGING { LAG } else { 0 };
    let of = |fault: String, sends: Vec<Trouble>| {
        let manners = Manners { lag, sends: sends.into(), ..Manners::default() };
        Scenario { thread: true, pairs: false, ..Scenario::of(network, fault, manners) }
    };
    let calm = Scenario { pairs: full, ..of("none".into(), Vec::new()) };
    let mut all = vec![calm.clone()];
    let meets = |n: usize, effect, answer| {
        let mut sends = vec![Trouble::NONE; n - 1];
        sends.push(Trouble { effect, answer });
        let place = ["1st", "2nd", "3rd", "4th"][n - 1];
        of(format!("{effect:?} {answer:?} at the {place}"), sends)
    };
    all.push(meets(2, Effect::Now, Answer::Reset));
    all.push(meets(4, Effect::No, Answer::Timeout));
    if !full {
        return all;
    }
    for n in 1..=4 {
        for (effect, answer) in [
            (Effect::Now, Answer::Garbage),
            (Effect::No, Answer::Reset),
            (Effect::Late(25_000), Answer::Timeout),
            (Effect::No, Answer::RateLimit),
            (Effect::No, Answer::Auth),
        ] {
            all.push(meets(n, effect, answer));
        }
        let refused = meets(n, Effect::No, Answer::Policy);
        all.push(Scenario { may_fail: true, ..refused });
    }
    for does in [Does::Sweep, Does::TakeOver] {
        let once = Scenario { deaths: false, pairs: false, ..calm.clone() };
        let gates = (2..160).map(When::Gate);
        all.extend(gates.map(|when| Scenario { act: Some((does, when)), ..once.clone() }));
    }
    all
}

fn faults(network: &'static str) -> Vec<Scenario> {
    use Answer::*;
    let lag = if network == LAGGING { LAG } else { 0 };
    let manners = || Manners { lag, ..Manners::default() };
    let sends = |all: &[Trouble]| Manners { sends: VecDeque::from(all.to_vec()), ..manners() };
    let t = |effect, answer| Trouble { effect, answer };
    let mut all = vec![Scenario::of(network, "none", manners())];
    let late = Effect::Late(25_000);
    for effect in [Effect::Now, Effect::No, late] {
        for answer in [Timeout, Reset, ServerError, Garbage] {
            let word = if effect == late { "Late".into() } else { format!("{effect:?}") };
            all.push(Scenario::of(
                network,
                format!("{word} {answer:?}"),
                sends(&[t(effect, answer)]),
            ));
        }
    }
    for answer in [NotSent, Unavailable, RateLimit, Quota, Auth] {
        let trouble = t(Effect::No, answer);
        all.push(Scenario::of(network, format!("No {answer:?}"), sends(&[trouble])));
    }
    for answer in [Policy, Duplicate] {
        let s = Scenario::of(network, format!("No {answer:?}"), sends(&[t(Effect::No, answer)]));
        // A death can hide the refusal, and then a later "I have it" is no proof.
        all.push(Scenario { may_fail: true, may_ask: answer == Duplicate, ..s });
    }
    all.push(Scenario {
        text: "forbidden words",
        may_fail: true,
        ..Scenario::of(network, "No Content", manners())
    });
    all.push(Scenario::of(network, "prepare down", Manners { prepare_down: 1, ..manners() }));
    let twice = [t(Effect::Now, Reset), t(Effect::No, Timeout)];
    all.push(Scenario {
        pairs: false,
        ..Scenario::of(network, "Now Reset, No Timeout", sends(&twice))
    });
    let twice = [t(Effect::No, Timeout), t(Effect::Now, Garbage)];
    all.push(Scenario {
        pairs: false,
        ..Scenario::of(network, "No Timeout, Now Garbage", sends(&twice))
    });
    if network == BLIND {
        return all;
    }
    for effect in [Effect::Now, Effect::No] {
        let lost = || sends(&[t(effect, Reset)]);
        let s = |fault: &str, manners| Scenario {
            pairs: false,
            ..Scenario::of(network, format!("{effect:?} Reset, {fault}"), manners)
        };
        all.push(s("look down", Manners { looks_down: 1, ..lost() }));
        // Too many looks that say nothing: a person has to.
        all.push(Scenario {
            may_ask: true,
            ..s("looks down", Manners { looks_down: 9, ..lost() })
        });
        all.push(s("look refused", Manners { look_refused: true, ..lost() }));
    }
    if [READABLE, LAGGING].contains(&network) {
        // The listing is slower than the network says, but it knows what it has.
        for (fault, twice) in [("named", Twice::Names), ("refused", Twice::Refuses)] {
            let manners = Manners { lag: 7_200_000, twice, ..sends(&[t(Effect::Now, Reset)]) };
            all.push(Scenario {
                may_ask: twice == Twice::Refuses,
                pairs: false,
                ..Scenario::of(network, format!("hidden, then {fault}"), manners)
            });
        }
    }
    if network == READABLE {
        // The first is listed only after the second was sent.
        let sends = sends(&[t(Effect::Now, Reset), t(Effect::No, Reset), t(Effect::No, Reset)]);
        let manners = Manners { lag: 180_000, ..sends };
        all.push(Scenario { pairs: false, ..Scenario::of(network, "hidden for 3 min", manners) });
    }
    if [READABLE, LAGGING].contains(&network) {
        // Two posts that look alike: whichever is found, each is bound once.
        for (fault, lost) in
            [("first", vec![t(Effect::Now, Reset)]), ("both", vec![t(Effect::Now, Reset); 2])]
        {
            let s = Scenario::of(network, format!("twins, {fault} answer lost"), sends(&lost));
            let may_ask = fault == "both";
            all.push(Scenario { posts: 2, twins: true, pairs: false, may_ask, ..s });
        }
    }
    if network == HANDLE {
        all.push(Scenario::of(network, "works on it", Manners { prepare_works: 2, ..manners() }));
        let works = Trouble { effect: Effect::Late(8_000), answer: Processing };
        all.push(Scenario::of(network, "shows it later", sends(&[works])));
        let lost = Manners { expires: true, ..sends(&[t(Effect::No, Reset)]) };
        all.push(Scenario { pairs: false, ..Scenario::of(network, "handle expires", lost) });
    }
    if [KEYED, HORIZON].contains(&network) {
        let both = [t(Effect::Now, Reset), t(Effect::Now, Timeout), t(late, Reset)];
        all.push(Scenario {
            pairs: false,
            ..Scenario::of(network, "three lost answers", sends(&both))
        });
    }
    all
}
