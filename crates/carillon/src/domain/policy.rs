//! What a workspace wants otherwise than the installation's settings say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refusal::Wrong;
use super::review::Stage;
use crate::words;

words! {
    /// Whose yes a post needs before it goes out.
    pub enum Approval {
        None = "none",
        Internal = "internal",
        /// Somebody of the workspace, then the client.
        Client = "client",
    }
}

/// `None`: the installation's setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Policies {
    /// Later than this a delivery is held for a person. In minutes.
    #[schema(example = 90)]
    pub late_after_minutes: Option<i64>,
    /// Later than this a story is missed. In minutes.
    pub story_late_after_minutes: Option<i64>,
    /// Within this time the same content to the same connection is a duplicate; 0: never. In days.
    pub duplicate_days: Option<i64>,
    /// Within this time two posts of one connection collide; 0: never. In minutes.
    pub collision_minutes: Option<i64>,
    /// Least time between two late posts of one connection. In seconds.
    pub late_gap_seconds: Option<i64>,
    /// Posts need a picture or video; where nothing is said, a campaign's do, and others as the
    /// installation's setting says.
    pub media_required: Option<bool>,
    /// Whose approval a post needs before it goes out; `null`: nobody's. A change of what followers
    /// see ends an approval, another time does not.
    pub approval: Option<Approval>,
    /// May who asked for an approval give it? `null`: only where nobody else could.
    pub approval_self: Option<bool>,
}

impl Policies {
    /// The stage that lets a post out; `None` where nothing needs an approval.
    pub fn last_stage(&self) -> Option<Stage> {
        match self.approval? {
            Approval::None => None,
            Approval::Internal => Some(Stage::Internal),
            Approval::Client => Some(Stage::Client),
        }
    }
    pub fn late_after(&self, setting: Duration) -> Duration {
        seconds(self.late_after_minutes, 60).unwrap_or(setting)
    }
    pub fn story_late_after(&self, setting: Duration) -> Duration {
        seconds(self.story_late_after_minutes, 60).unwrap_or(setting)
    }
    pub fn duplicate(&self, setting: Duration) -> Duration {
        seconds(self.duplicate_days, 86_400).unwrap_or(setting)
    }
    pub fn collision(&self, setting: Duration) -> Duration {
        seconds(self.collision_minutes, 60).unwrap_or(setting)
    }
    pub fn late_gap(&self, setting: Duration) -> Duration {
        seconds(self.late_gap_seconds, 1).unwrap_or(setting)
    }

    /// Every value that makes no sense.
    pub fn wrong(&self) -> Vec<Wrong> {
        const WEEK: i64 = 7 * 24 * 60;
        let all = [
            ("lateAfterMinutes", self.late_after_minutes, 1, WEEK),
            ("storyLateAfterMinutes", self.story_late_after_minutes, 1, 24 * 60),
            ("duplicateDays", self.duplicate_days, 0, 365),
            ("collisionMinutes", self.collision_minutes, 0, 24 * 60),
            ("lateGapSeconds", self.late_gap_seconds, 0, 3_600),
        ];
        let mut wrong = Vec::new();
        for (field, value, least, most) in all {
            if let Some(value) = value.filter(|v| !(least..=most).contains(v)) {
                let message = format!("`{field}` is {value}; it can be {least} to {most}.");
                wrong.push(Wrong::new(field, "out_of_range", message));
            }
        }
        wrong
    }
}

/// So many of a unit, which is given in seconds. What is kept was in range when it was written.
fn seconds(value: Option<i64>, unit: u64) -> Option<Duration> {
    let value = u64::try_from(value?).ok()?;
    Some(Duration::from_secs(value.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_the_installations() {
        let setting = Duration::from_secs(3_600);
        assert_eq!(Policies::default().late_after(setting), setting);
        let own = Policies {
            late_after_minutes: Some(90),
            collision_minutes: Some(0),
            ..Policies::default()
        };
        assert_eq!(own.late_after(setting), Duration::from_secs(5_400));
        assert_eq!(own.collision(setting), Duration::ZERO);
    }

    #[test]
    fn every_value_out_of_range_is_named() {
        let own = Policies {
            late_after_minutes: Some(0),
            duplicate_days: Some(-1),
            late_gap_seconds: Some(3_600),
            ..Policies::default()
        };
        let fields: Vec<String> = own.wrong().into_iter().map(|w| w.field).collect();
        assert_eq!(fields, ["lateAfterMinutes", "duplicateDays"]);
    }
}
