use super::*;
use crate::KeyPair;

struct Cast {
    root: KeyPair,
    deputy: KeyPair,
    account: KeyPair,
    second: KeyPair,
}

fn cast() -> Cast {
    let key = |kind| KeyPair::generate(kind).unwrap();
    Cast {
        root: key(KeyKind::Operator),
        deputy: key(KeyKind::Operator),
        account: key(KeyKind::Account),
        second: key(KeyKind::Account),
    }
}

impl Cast {
    /// The operator's word for the account and its second key, valid from 10 to 20.
    fn account_token(&self, operator: &KeyPair) -> String {
        let account = Account::new("a").signer(self.second.public_key());
        Claims::new(account, self.account.public_key(), 1).not_before(10).expires_at(20).sign(operator).unwrap()
    }

    fn operator_token(&self) -> String {
        let operator = Operator::new("o").signer(self.deputy.public_key());
        Claims::new(operator, self.root.public_key(), 1).sign(&self.root).unwrap()
    }
}

fn why(policy: &TrustPolicy, issuer: &KeyPair, now: u64) -> Option<Distrust> {
    match policy.check_issuer(issuer.public_key(), now) {
        Ok(()) => None,
        Err(ClaimsError::IssuerNotTrusted { why, .. }) => Some(why),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn trust_ends_with_the_first_voucher_of_a_chain_and_the_longest_chain_counts() {
    let cast = cast();
    let until = |policy: &TrustPolicy, key: &KeyPair| policy.trusted_until(key.public_key(), 15).unwrap();
    let root = TrustPolicy::new().trust_operator(cast.root.public_key()).unwrap();
    let vouched = root.clone().account_token(&cast.account_token(&cast.root)).unwrap();
    assert_eq!([&cast.account, &cast.second].map(|key| until(&vouched, key)), [Some(20); 2]);
    assert_eq!(until(&root, &cast.root), None);
    let named = vouched.clone().trust_account(cast.account.public_key()).unwrap();
    assert_eq!(until(&named, &cast.account), None);
    // The operator's deputy may vouch until 17 only.
    let deputy = Claims::new(Operator::new("o").signer(cast.deputy.public_key()), cast.root.public_key(), 1);
    let by_deputy = root.operator_token(&deputy.expires_at(17).sign(&cast.root).unwrap()).unwrap();
    let by_deputy = by_deputy.account_token(&cast.account_token(&cast.deputy)).unwrap();
    assert_eq!(until(&by_deputy, &cast.account), Some(17));
    let by_both = by_deputy.account_token(&cast.account_token(&cast.root)).unwrap();
    assert_eq!(until(&by_both, &cast.account), Some(20));
    assert_eq!(why(&by_both, &cast.account, 18), None);
    assert_eq!(why(&by_both, &cast.account, 21), Some(Distrust::VoucherExpired));
}

#[test]
fn the_default_trusts_nobody() {
    let cast = cast();
    for key in [&cast.account, &cast.root] {
        assert_eq!(why(&TrustPolicy::new(), key, 15), Some(Distrust::Unknown));
    }
}

#[test]
fn a_trusted_operator_vouches_for_an_account_and_its_signers_while_the_token_holds() {
    let cast = cast();
    let policy = TrustPolicy::new().trust_operator(cast.root.public_key()).unwrap();
    let policy = policy.account_token(&cast.account_token(&cast.root)).unwrap();
    for key in [&cast.account, &cast.second] {
        assert_eq!(why(&policy, key, 9), Some(Distrust::VoucherNotYetValid));
        assert_eq!(why(&policy, key, 10), None);
        assert_eq!(why(&policy, key, 20), None);
        assert_eq!(why(&policy, key, 21), Some(Distrust::VoucherExpired));
    }
}

#[test]
fn the_word_of_a_stranger_does_not_count() {
    let cast = cast();
    let policy = TrustPolicy::new().account_token(&cast.account_token(&cast.root)).unwrap();
    assert_eq!(why(&policy, &cast.account, 15), Some(Distrust::OperatorNotTrusted(cast.root.public_key())));
    let policy = policy.trust_operator(cast.deputy.public_key()).unwrap();
    assert_eq!(why(&policy, &cast.account, 15), Some(Distrust::OperatorNotTrusted(cast.root.public_key())));
}

#[test]
fn an_operators_deputy_vouches_in_its_place_but_names_no_deputies() {
    let cast = cast();
    let policy = TrustPolicy::new().trust_operator(cast.root.public_key()).unwrap();
    let policy = policy.account_token(&cast.account_token(&cast.deputy)).unwrap();
    assert_eq!(why(&policy, &cast.account, 15), Some(Distrust::OperatorNotTrusted(cast.deputy.public_key())));
    let policy = policy.operator_token(&cast.operator_token()).unwrap();
    assert_eq!(why(&policy, &cast.account, 15), None);

    let third = KeyPair::generate(KeyKind::Operator).unwrap();
    let sub = Operator::new("d").signer(third.public_key());
    let sub = Claims::new(sub, cast.deputy.public_key(), 1).sign(&cast.deputy).unwrap();
    let policy = policy.operator_token(&sub).unwrap();
    assert_eq!(why(&policy, &third, 15), Some(Distrust::OperatorNotTrusted(cast.deputy.public_key())));
}

#[test]
fn of_two_vouchers_one_that_holds_suffices() {
    let cast = cast();
    let fresh = Claims::new(Account::new("a"), cast.account.public_key(), 1).sign(&cast.root).unwrap();
    for tokens in [[cast.account_token(&cast.root), fresh.clone()], [fresh, cast.account_token(&cast.root)]] {
        let policy = TrustPolicy::new().trust_operator(cast.root.public_key()).unwrap();
        let policy = tokens.iter().fold(policy, |policy, token| policy.account_token(token).unwrap());
        assert_eq!(why(&policy, &cast.account, 30), None);
    }
}

#[test]
fn forged_and_misplaced_vouchers_are_refused_at_once() {
    let cast = cast();
    let code = |result: Result<TrustPolicy, ClaimsError>| result.unwrap_err().code();
    let token = cast.account_token(&cast.root);
    let other = cast.account_token(&cast.deputy);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    assert_eq!(code(TrustPolicy::new().account_token(&format!("{signed}.{signature}"))), "signature_invalid");
    assert_eq!(code(TrustPolicy::new().operator_token(&token)), "subject_wrong_kind");
    assert_eq!(code(TrustPolicy::new().account_token(&cast.operator_token())), "subject_wrong_kind");
    let wrong = Account::new("a").signer(cast.root.public_key());
    let wrong = Claims::new(wrong, cast.account.public_key(), 1).sign(&cast.root).unwrap();
    assert_eq!(code(TrustPolicy::new().account_token(&wrong)), "key_invalid");
    assert_eq!(code(TrustPolicy::new().trust_account(cast.root.public_key())), "key_invalid");
}
