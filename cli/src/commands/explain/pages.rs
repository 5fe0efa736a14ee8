//! The pages of `docs/errors`, built in: who only has the program has them too.

/// What is said of all codes, and of those without a page of their own.
pub(super) const ALL: &str = include_str!("../../../../docs/errors/README.md");

macro_rules! pages {
    ($($code:ident)*) => {
        &[$((stringify!($code), include_str!(concat!("../../../../docs/errors/", stringify!($code), ".md")))),*]
    };
}

/// Each code and its page.
pub(super) const PAGES: &[(&str, &str)] = pages! {
    actor_ambiguous actor_name_taken actor_not_found actor_running alias_invalid alias_taken
    archive_malformed archive_too_large
    backend_unavailable binary_not_stored bus_disconnected bus_not_allowed bus_timed_out call_depth_exceeded
    capability_not_claimed claims_ambiguous claims_expired claims_malformed claims_missing claims_not_yet_valid
    clocks_apart compile_cache_unusable compile_failed config_in_use config_invalid config_not_found
    contract_not_served deadline_exceeded digest_mismatch digest_missing draining engine_config_invalid
    entry_invalid entry_unreadable
    export_missing fetch_failed file_too_large guest_bad_pointer guest_bad_text guest_exited guest_failed
    guest_host_calls_exceeded guest_memory_exceeded guest_name_too_long guest_table_exceeded guest_trapped
    header_invalid host_cut_off host_replaced id_invalid import_unknown internal interrupted invocation_mismatch io
    issuer_not_trusted issuer_wrong_kind key_invalid kv_conflict kv_full kv_key_invalid kv_timed_out kv_unavailable
    label_invalid label_limit link_conflict link_limit link_not_found memory_over_limit module_hash_mismatch
    module_hash_unverifiable nats_server_not_found nats_server_not_ready nats_too_old no_canary no_lattice no_responders
    no_trial not_scaled nothing_to_roll_back operation_unknown outcome_unknown overloaded payload_too_large port_taken
    probe_failed process_exited process_not_ready provider_failed provider_in_use provider_needs_bus
    provider_not_found provider_running provider_unavailable provider_unknown reference_invalid registry_invalid
    registry_limit remote_failed request_invalid request_late request_not_addressed request_not_permitted
    request_repeated request_signature_invalid request_unsigned
    revision_too_low rolled_back rollout_active session_refused signature_invalid start_failed store_full
    subject_changed subject_invalid subject_wrong_kind table_over_limit target_hash_mismatch target_missing
    term_outdated token_header_unsupported token_malformed token_too_large value_kind_wrong value_not_a_number
    value_overflow value_too_large wasm_malformed
};
