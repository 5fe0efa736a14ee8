//! Reads whose answers Redis counts before it sends them.
//!
//! What another program put under a key has no limit of ours, and the client takes whatever comes into memory. A script
//! does the read and the counting at one moment and in one round trip.

use std::{borrow::Cow, sync::LazyLock};

use redis::{Cmd, Script, cmd};
use wattle_provider_sdk::AnswerRoom;

/// The code of the error that stands for an answer too long; its detail is how long, as far as was counted.
pub(crate) const TOO_LARGE: &str = "TOOLARGE";

/// Most keys of one read: Lua has room for 8000 arguments.
pub(crate) const KEYS_MAX: usize = 4096;

/// Arguments: the most bytes of an answer, what an item counts besides its bytes, the command, and what it takes after
/// its keys. An error is returned as it is, for one that is raised loses its code in Redis 6.
const CODE: &str = "\
local command = {ARGV[3]}
for _, key in ipairs(KEYS) do command[#command + 1] = key end
for n = 4, #ARGV do command[#command + 1] = ARGV[n] end
local answer = redis.pcall(unpack(command))
if type(answer) == 'table' and answer.err then return answer end
local most, overhead, size = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for _, item in ipairs(type(answer) == 'table' and answer or {answer or nil}) do
  size = size + #item + overhead
  if size > most then return redis.error_reply(string.format('TOOLARGE %d', size)) end
end
return answer";

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CODE));

/// A read, which can be asked in two ways.
pub(crate) struct Reading<'a> {
    pub(crate) name: &'static str,
    pub(crate) keys: &'a [Cow<'a, str>],
    pub(crate) arguments: &'a [i64],
}

impl Reading<'_> {
    /// Names the script: enough if Redis has seen it since it was started.
    pub(crate) fn known(&self) -> Cmd {
        self.ask("EVALSHA", SCRIPT.get_hash())
    }

    /// Brings the script along.
    pub(crate) fn whole(&self) -> Cmd {
        self.ask("EVAL", CODE)
    }

    fn ask(&self, way: &str, script: &str) -> Cmd {
        let mut command = cmd(way);
        command.arg(script).arg(self.keys.len());
        for key in self.keys {
            command.arg(&**key);
        }
        command.arg(AnswerRoom::BYTES_MAX).arg(AnswerRoom::ITEM_OVERHEAD).arg(self.name).arg(self.arguments);
        command
    }
}
