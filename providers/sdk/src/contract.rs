//! Which contract ids there are, and which dialect each of them speaks.

use wattle_types::ContractId;

/// How one generation of guests spells operations and encodes their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// wasmCloud 0.x: `Service.Method` names, MessagePack.
    Wasmcloud,
    /// waSCC, 2020: bare names, MessagePack structures of their own.
    Wascc,
}

/// A capability contract: every id under which guests ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Contract {
    spellings: &'static [(&'static str, Dialect)],
}

/// Serving HTTP: the provider calls the actor.
pub const HTTP_SERVER: Contract =
    Contract { spellings: &[("wasmcloud:httpserver", Dialect::Wasmcloud), ("wascc:http_server", Dialect::Wascc)] };

/// Keys with values, lists and sets.
pub const KEYVALUE: Contract = Contract {
    spellings: &[
        ("wasmcloud:keyvalue", Dialect::Wasmcloud),
        ("wascc:keyvalue", Dialect::Wascc),
        ("wascc:key_value", Dialect::Wascc),
    ],
};

/// Writing to the host's log.
pub const LOGGING: Contract =
    Contract { spellings: &[("wasmcloud:builtin:logging", Dialect::Wasmcloud), ("wascc:logging", Dialect::Wascc)] };

/// Random and sequential numbers.
pub const NUMBERGEN: Contract =
    Contract { spellings: &[("wasmcloud:builtin:numbergen", Dialect::Wasmcloud), ("wascc:extras", Dialect::Wascc)] };

impl Contract {
    /// Returns the dialect that `id` asks for, or `None` when `id` is another contract.
    #[must_use]
    pub fn dialect(&self, id: &ContractId) -> Option<Dialect> {
        self.spellings.iter().find(|(spelling, _)| *spelling == id.as_str()).map(|(_, dialect)| *dialect)
    }

    /// Returns every id of this contract, for [`Provider::contracts`](wattle_types::Provider::contracts).
    #[must_use]
    pub fn ids(&self) -> Vec<ContractId> {
        self.spellings.iter().filter_map(|(spelling, _)| spelling.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_a_contract_id_of_its_dialect() {
        for contract in [HTTP_SERVER, KEYVALUE, LOGGING, NUMBERGEN] {
            assert_eq!(contract.ids().len(), contract.spellings.len());
            for id in contract.ids() {
                let wascc = id.as_str().starts_with("wascc:");
                assert_eq!(contract.dialect(&id), Some(if wascc { Dialect::Wascc } else { Dialect::Wasmcloud }));
            }
        }
        assert_eq!(KEYVALUE.dialect(&"wasmcloud:messaging".parse().unwrap()), None);
    }
}
