// Tokens in the store, under tokens/<name>, and the small needs of a server.
#include <utility>

#include "base/log.h"
#include "coordinator/pool_coordinator.h"

namespace cenote::coordinator {
namespace {

std::string token_key(std::string_view name) {
  return "tokens/" + std::string(name);
}

}  // namespace

Status PoolCoordinator::restore_tokens(const CallContext& context) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items, store_->list(context, "tokens/"));
  std::vector<TokenRecord> tokens;
  for (const Item& item : items) {
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(item.value));
    ARROW_ASSIGN_OR_RAISE(TokenRecord token, token_record_from(value));
    tokens.push_back(std::move(token));
  }
  tokens_.restore(std::move(tokens));
  return Status::OK();
}

Result<Json> PoolCoordinator::create_token(TokenRecord token, const Change& change) {
  const CallContext context = store_context();
  const TurnLock changes(changes_, context.deadline);
  ARROW_RETURN_NOT_OK(changes.status());
  ARROW_RETURN_NOT_OK(catch_up(context));
  ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
  if (before) return *before;
  if (tokens_.find(token.name)) {
    return refuse(Refusal::kConflict, "there is a token '" + token.name +
                                          "' already; take another name, or revoke that one first");
  }
  if (tokens_.is_open() && token.role != TokenRole::kOperator) {
    return refuse(Refusal::kConflict,
                  "the first token must be an operator's: with it everybody else is shut out");
  }
  const std::string secret = new_token();
  token.hash = sha256(secret);
  token.configured = false;
  const Json shown = to_json(token, false);
  // Neither the store nor the audit log ever holds the token itself: a repeated request is
  // answered without it.
  ARROW_RETURN_NOT_OK(commit(
      context,
      {{{token_key(token.name), 0}}, {{token_key(token.name), to_json(token, true).dump()}}, {}},
      change, "token.create", Json(), shown, shown));
  tokens_.put(std::move(token));
  Json answer = shown;
  answer["token"] = secret;
  return answer;
}

Result<Json> PoolCoordinator::revoke_token(std::string_view name, const Change& change) {
  const CallContext context = store_context();
  const TurnLock changes(changes_, context.deadline);
  ARROW_RETURN_NOT_OK(changes.status());
  ARROW_RETURN_NOT_OK(catch_up(context));
  ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
  if (before) return *before;
  const std::optional<TokenRecord> token = tokens_.find(name);
  if (!token) {
    return refuse(Refusal::kNotFound, "there is no token '" + std::string(name) + "'");
  }
  if (token->configured) {
    return refuse(Refusal::kConflict, "the token '" + token->name +
                                          "' stands in the coordinator's configuration file; "
                                          "take it away there and send SIGHUP");
  }
  int operators = 0;
  for (const TokenRecord& each : tokens_.all()) operators += each.role == TokenRole::kOperator;
  if (token->role == TokenRole::kOperator && operators == 1) {
    return refuse(Refusal::kConflict,
                  "this is the last operator's token; without it nobody could make another");
  }
  Json answer = {{"name", token->name}, {"revoked", true}};
  ARROW_RETURN_NOT_OK(commit(context, {{}, {}, {token_key(name)}}, change, "token.revoke",
                             to_json(*token, false), Json(), answer));
  tokens_.remove(name);
  return answer;
}

Status PoolCoordinator::ready() const {
  return store_->get(store_context(), "audit-end").status();
}

// Answers are kept for 24 hours; a key that comes later is a new request.
void PoolCoordinator::forget_old_answers(const std::string& before) {
  const Result<std::vector<Item>> items = store_->list(store_context(), "idempotency/");
  if (!items.ok()) return log(LogLevel::kWarning, "coordinator", items.status().message());
  StoreWrite write;
  for (const Item& item : *items) {
    const Result<Json> value = parse_json(item.value);
    // RFC 3339 in UTC: earlier is smaller.
    if (value.ok() && value->value("at", "") < before) write.deletes.push_back(item.key);
  }
  if (write.empty()) return;
  const Result<uint64_t> deleted = store_->commit(store_context(), write);
  if (!deleted.ok()) log(LogLevel::kWarning, "coordinator", deleted.status().message());
}

}  // namespace cenote::coordinator
