//! The attribute macro of `wattle-actor`: a thin front of its `actor!` macro, without any parser of its own.

use proc_macro::{Delimiter, Group, Ident, Punct, Spacing, TokenStream, TokenTree};

/// Makes a function the one handler of this actor.
///
/// The argument is the operation: a text such as `"Echo"`, or a constant such as `http::HANDLE_REQUEST`. An actor with
/// several operations lists its functions in `wattle_actor::actor!` instead.
///
/// ```text
/// #[wattle_actor::handler(http::HANDLE_REQUEST)]
/// fn hello(request: http::Request) -> http::Response { ... }
/// ```
#[proc_macro_attribute]
pub fn handler(operation: TokenStream, function: TokenStream) -> TokenStream {
    match name_of(function.clone()) {
        Some(name) if !operation.is_empty() => {
            let mut output = function;
            output.extend(actor_call(operation, name));
            output
        }
        Some(_) => complaint("name the operation: #[handler(http::HANDLE_REQUEST)] or #[handler(\"Echo\")]"),
        None => complaint("#[handler] belongs on a function"),
    }
}

/// Returns the identifier after the first `fn`.
fn name_of(function: TokenStream) -> Option<Ident> {
    let mut tokens = function.into_iter();
    tokens.find(|token| matches!(token, TokenTree::Ident(word) if word.to_string() == "fn"))?;
    match tokens.next() {
        Some(TokenTree::Ident(name)) => Some(name),
        _ => None,
    }
}

/// Writes `::wattle_actor::actor! { operation => name }`.
fn actor_call(operation: TokenStream, name: Ident) -> TokenStream {
    let mut pairs = operation;
    pairs.extend(arrow());
    pairs.extend([TokenTree::Ident(name)]);
    let mut output: TokenStream = "::wattle_actor::actor!".parse().unwrap_or_default();
    output.extend([TokenTree::Group(Group::new(Delimiter::Brace, pairs))]);
    output
}

fn arrow() -> [TokenTree; 2] {
    [TokenTree::Punct(Punct::new('=', Spacing::Joint)), TokenTree::Punct(Punct::new('>', Spacing::Alone))]
}

fn complaint(text: &str) -> TokenStream {
    format!("::core::compile_error!({text:?});").parse().unwrap_or_default()
}
