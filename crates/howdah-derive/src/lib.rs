//! `#[derive(Job)]` for the crate `howdah`, which re-exports it and documents it at its trait `Job`.
//!
//! Invariant: every mistake in an attribute is one compiler message at the place of the mistake. Limit: no
//! generic types, since a job's payload must be one type for good.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{DeriveInput, Error, Expr, LitInt, LitStr, Result, Type, parse_macro_input};

/// Derives `howdah::Job`: `#[job(kind = "welcome", queue = "mail", attempts = 8, timeout = "30s", priority = 3, version = 2)]`.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a job cannot be generic: its payload is stored as one type"));
    }
    let mut kind = None;
    let mut constants = TokenStream::new();
    let mut output = quote!(());
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("job")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("kind") {
                kind = Some(name(&meta)?);
                return Ok(());
            }
            if meta.path.is_ident("output") {
                let ty: Type = meta.value()?.parse()?;
                output = quote!(#ty);
                return Ok(());
            }
            constants.extend(constant(&meta)?);
            Ok(())
        })?;
    }
    let ident = &input.ident;
    let kind = kind.unwrap_or_else(|| snake_case(&ident.to_string()));
    Ok(quote! {
        impl ::howdah::Job for #ident {
            type Output = #output;
            const KIND: &'static str = #kind;
            #constants
        }
    })
}

/// The constant of one attribute other than the kind.
fn constant(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    if meta.path.is_ident("queue") {
        let queue = name(meta)?;
        return Ok(quote!(const QUEUE: &'static str = #queue;));
    }
    if meta.path.is_ident("attempts") {
        let attempts = number(meta, 1, 1000)?;
        return Ok(quote!(const MAX_ATTEMPTS: ::core::option::Option<u16> = ::core::option::Option::Some(#attempts);));
    }
    if meta.path.is_ident("priority") {
        let priority = u8::try_from(number(meta, 0, 9)?).unwrap_or(9);
        return Ok(quote!(const PRIORITY: u8 = #priority;));
    }
    if meta.path.is_ident("version") {
        let version = number(meta, 1, 32767)?;
        return Ok(quote!(const VERSION: u16 = #version;));
    }
    if meta.path.is_ident("timeout") {
        let text: LitStr = meta.value()?.parse()?;
        let ms = milliseconds(&text.value()).ok_or_else(|| {
            Error::new(text.span(), "a timeout is a number with a unit: \"500ms\", \"30s\", \"5m\" or \"2h\"")
        })?;
        return Ok(quote! {
            const TIMEOUT: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(::core::time::Duration::from_millis(#ms));
        });
    }
    if meta.path.is_ident("retry") {
        let retry: Expr = meta.value()?.parse()?;
        return Ok(
            quote!(const RETRY: ::core::option::Option<::howdah::Retry> = ::core::option::Option::Some(#retry);),
        );
    }
    Err(meta.error("unknown attribute: a job has kind, queue, attempts, timeout, priority, version, retry and output"))
}

fn name(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let text: LitStr = meta.value()?.parse()?;
    let value = text.value();
    if value.is_empty() || value.len() > 128 || value.chars().any(char::is_control) {
        return Err(Error::new(text.span(), "a name is 1 to 128 bytes without control characters"));
    }
    Ok(value)
}

fn number(meta: &ParseNestedMeta<'_>, least: u16, most: u16) -> Result<u16> {
    let literal: LitInt = meta.value()?.parse()?;
    literal
        .base10_parse::<u16>()
        .ok()
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| Error::new(literal.span(), format!("this is a whole number from {least} to {most}")))
}

fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit).filter(|ms| *ms > 0)
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let starts_word = c.is_uppercase()
            && i > 0
            && (!chars[i - 1].is_uppercase() || chars.get(i + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(code: &str) -> String {
        expand(&syn::parse_str(code).unwrap()).unwrap_or_else(Error::into_compile_error).to_string()
    }

    #[test]
    fn a_kind_is_the_types_name_in_snake_case() {
        assert_eq!(snake_case("SendHTTPRequest2Go"), "send_http_request2_go");
        assert!(derived("struct SendEmail;").contains("\"send_email\""));
    }

    #[test]
    fn a_wrong_attribute_is_one_message_that_says_what_is_right() {
        for (attribute, message) in [
            ("queu = \"a\"", "a job has kind, queue"),
            ("attempts = 0", "from 1 to 1000"),
            ("priority = 10", "from 0 to 9"),
            ("version = 0", "from 1 to 32767"),
            ("timeout = \"soon\"", "number with a unit"),
            ("kind = \"\"", "1 to 128 bytes"),
        ] {
            let code = derived(&format!("#[job({attribute})] struct A;"));
            assert!(code.contains(message) && code.matches("compile_error").count() == 1, "{attribute}: {code}");
        }
        assert!(derived("struct A<T>(T);").contains("cannot be generic"));
    }

    #[test]
    fn every_attribute_arrives() {
        let code = derived(
            "#[job(queue = \"mail\", attempts = 8, timeout = \"30s\", priority = 3, version = 2, output = Vec<u8>, retry = R)] struct A;",
        );
        for part in [
            "\"mail\"",
            "8u16",
            "30000u64",
            "PRIORITY : u8 = 3u8",
            "type Output = Vec < u8 >",
            "Some (R)",
            "VERSION : u16 = 2u16",
        ] {
            assert!(code.contains(part), "{part}: {code}");
        }
    }
}
