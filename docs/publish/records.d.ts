// Types of the records that a trading engine publishes, made from ../schemas by `make schemas`: do not edit.
// Fields of your own are kept with the record; add them by name: `const fill: Fill & { strategy: string } = …`.

/** An exact decimal number as text: "0.015". JavaScript's own numbers are binary fractions, so they are not taken. */
export type Decimal = string;
/** RFC 3339 with an offset: `new Date().toISOString()`. */
export type Time = string;
/** A date: "2026-11-22". */
export type Day = string;

/** One execution. `quote_quantity` is the venue's own cash amount (default quantity × price × multiplier). */
export interface Fill {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** unique over all symbols of the account: venue:symbol:trade_id */
  fill_id: string;
  /** BTC/USDT, BTC-USDT or BTCUSDT; a contract as BTC/USDT:USDT */
  symbol: string;
  /** whether base was bought or sold */
  side: "buy" | "sell";
  /** of base; of contracts, their number */
  quantity: Decimal;
  /** of one unit of base, in quote */
  price: Decimal;
  /** when it was executed */
  executed_at: Time;
  /** left out where there was no order */
  order_id?: string | null;
  /** negative is a rebate; null: not known yet, a fee record will say it */
  fee?: Decimal | null;
  /** default: the currency of the cash */
  fee_currency?: string | null;
  /** instead of fee: several; null or empty: not known yet */
  fees?: Array<{ currency: string; amount: Decimal; usd_rate?: Decimal | null }> | null;
  /** has the sign of price; required for inverse and quanto contracts */
  quote_quantity?: Decimal | null;
  /** what is traded, where the symbol does not say it */
  base?: string | null;
  /** what the price is in, where the symbol does not say it */
  quote?: string | null;
  /** the currency of a contract's cash */
  settle?: string | null;
  /** true where only this says that it is a contract */
  contract?: boolean | null;
  /** the contract is counted in quote and settled in its base */
  inverse?: boolean | null;
  /** the size of a contract; default 1 */
  multiplier?: Decimal | null;
  /** USD per unit of the cash's currency at this instant */
  quote_usd_rate?: Decimal | null;
  /** USD per unit of the fee currency at this instant */
  fee_usd_rate?: Decimal | null;
  /** whether the order stood in the book or met one that did */
  liquidity?: "maker" | "taker" | null;
  /** market, limit …; in any case */
  order_type?: string | null;
  /** the quantity of its order, where nobody publishes orders */
  order_quantity?: Decimal | null;
  /** the price of its order, where nobody publishes orders */
  order_price?: Decimal | null;
}

/** A further fee of a fill, for one that was not known when it was published. */
export interface Fee {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** unique over the fee records of the account */
  fee_id: string;
  /** the fill that it belongs to, whichever comes first */
  fill_id: string;
  /** of amount, by its code */
  currency: string;
  /** negative is a rebate */
  amount: Decimal;
  /** when it was taken */
  occurred_at: Time;
  /** USD per unit at this instant */
  usd_rate?: Decimal | null;
}

/** Money that came to the account. */
export interface Deposit {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** of amount, by its code */
  currency: string;
  /** above zero in both directions: the kind of record says which */
  amount: Decimal;
  /** when it came or went */
  occurred_at: Time;
  /** external (the default) and transfer are flows; split, loan and rename neither flow nor profit; the rest is profit or loss */
  category?: "external" | "transfer" | "funding" | "interest" | "dividend" | "bonus" | "fee" | "split" | "loan" | "rename" | "other" | null;
  /** USD per unit at this instant */
  usd_rate?: Decimal | null;
  /** what the venue took besides the amount; negative is a rebate */
  fee?: Decimal | null;
  /** default: currency */
  fee_currency?: string | null;
  /** a note for people */
  description?: string | null;
  /** the venue's own, such as the hash of a transaction; both halves of a rename have the same */
  reference?: string | null;
  /** the instrument in whose open trade funding, interest or other profit counts, in any notation */
  symbol?: string | null;
  /** unique over the deposits of the account */
  deposit_id: string;
}

/** Money that left the account. */
export interface Withdrawal {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** of amount, by its code */
  currency: string;
  /** above zero in both directions: the kind of record says which */
  amount: Decimal;
  /** when it came or went */
  occurred_at: Time;
  /** external (the default) and transfer are flows; split, loan and rename neither flow nor profit; the rest is profit or loss */
  category?: "external" | "transfer" | "funding" | "interest" | "dividend" | "bonus" | "fee" | "split" | "loan" | "rename" | "other" | null;
  /** USD per unit at this instant */
  usd_rate?: Decimal | null;
  /** what the venue took besides the amount; negative is a rebate */
  fee?: Decimal | null;
  /** default: currency */
  fee_currency?: string | null;
  /** a note for people */
  description?: string | null;
  /** the venue's own, such as the hash of a transaction; both halves of a rename have the same */
  reference?: string | null;
  /** the instrument in whose open trade funding, interest or other profit counts, in any notation */
  symbol?: string | null;
  /** unique over the withdrawals of the account */
  withdrawal_id: string;
}

/** A step in an order's life that is no execution. */
export interface Order {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** of this step, unique over the account: o-1:placed */
  event_id: string;
  /** of the order, as its fills name it */
  order_id: string;
  /** canceled, open and new are taken as cancelled and placed */
  status: "placed" | "amended" | "cancelled" | "rejected" | "expired" | "filled" | "canceled" | "open" | "new";
  /** when it happened */
  occurred_at: Time;
  /** required with placed; with others, only the orders that it names */
  symbol?: string | null;
  /** required with placed; with others, only the orders of that side */
  side?: "buy" | "sell" | null;
  /** required with placed */
  order_type?: string | null;
  /** required with placed, unless cost or closes_position says it */
  quantity?: Decimal | null;
  /** required with a limit order */
  price?: Decimal | null;
  /** of a market order, in quote, instead of quantity */
  cost?: Decimal | null;
  /** its quantity is what is filled */
  closes_position?: boolean | null;
  /** set the order's cost aside in the balance while it is open; spot only */
  reserve?: boolean | null;
  /** what is traded, where the symbol does not say it */
  base?: string | null;
  /** what the price is in, where the symbol does not say it */
  quote?: string | null;
  /** the currency of a contract's cash */
  settle?: string | null;
  /** true where only this says that it is a contract */
  contract?: boolean | null;
  /** the contract is counted in quote and settled in its base */
  inverse?: boolean | null;
  /** the size of a contract; default 1 */
  multiplier?: Decimal | null;
}

/** The account's worth at an instant, and any figures the engine computed itself (kept as reported). */
export interface Metrics {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** default: the instant, or the date */
  snapshot_id?: string | null;
  /** everything that the account holds, in USD */
  total_value_usd: Decimal;
  /** when it was worth that */
  observed_at?: Time | null;
  /** instead of observed_at: the last microsecond of that day in the account's zone */
  date?: Day | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  pnl_daily?: Decimal | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  pnl_total?: Decimal | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  sharpe_ratio?: Decimal | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  sortino_ratio?: Decimal | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  max_drawdown?: Decimal | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  win_rate?: Decimal | null;
  /** as the engine computed it; kept as reported, beside what the rollup computes */
  profit_factor?: Decimal | null;
  /** as the engine counted them; kept as reported */
  trades_count?: number | null;
}

/** What the venue says the account holds of a currency, or of a contract. It books nothing; its id is CURRENCY:MICROSECONDS. */
export interface Balance {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** opened by the first record that names it */
  account_id: string;
  /** a currency, or a contract's symbol */
  currency: string;
  /** as the venue says it, to its own digits */
  total: Decimal;
  /** when the account held it */
  observed_at: Time;
}

/** What one unit of a currency was worth in USD at an instant. Of no account; its id is CURRENCY:SOURCE:MICROSECONDS. */
export interface Rate {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** without a colon */
  currency: string;
  /** USD per unit; 0: worthless */
  usd_rate: Decimal;
  /** when it was worth that */
  observed_at: Time;
  /** who says so; without a colon */
  source?: string | null;
}

/** The record of that identity counts as never having been. May arrive before it. The void of a rate leaves account_id out. */
export interface Void {
  /** who publishes, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
  /** left out for a rate, required for every other kind */
  account_id?: string | null;
  /** unique over the voids of the account */
  void_id: string;
  /** of the record that never was */
  kind: "fill" | "fee" | "deposit" | "withdrawal" | "order" | "metrics" | "balance" | "rate" | "transaction" | "adjustment";
  /** its own id: that of the fill, the deposit … */
  id: string;
  /** for people: why */
  reason: string;
  /** when it was found */
  occurred_at: Time;
}

/** A run of a job, filed in the table of runs for the scheduler. The dates and the account are for the rollup alone. */
export interface Job {
  /** what to run */
  job: "rollup" | "checkpoint" | "seal" | "statistics" | "backup" | "verification" | "restore_drill" | "export" | "clean_up";
  /** the same id again is the same run; default: the message's id */
  request_id?: string | null;
  /** only this account */
  account_id?: string | null;
  /** read this day anew */
  date?: Day | null;
  /** read everything from this day on anew */
  from?: Day | null;
  /** up to this day */
  to?: Day | null;
  /** derive everything anew from the recorded facts */
  rebuild?: boolean | null;
  /** who asks, for noticing gaps */
  producer?: string | null;
  /** +1 per record of that producer */
  sequence?: number | null;
}

/** What each actor takes, and the queue that it travels through. */
export interface Actors {
  record_fill: { queue: "fills"; record: Fill };
  record_fee: { queue: "fills"; record: Fee };
  record_deposit: { queue: "deposits"; record: Deposit };
  record_withdrawal: { queue: "deposits"; record: Withdrawal };
  record_order: { queue: "orders"; record: Order };
  record_metrics: { queue: "metrics"; record: Metrics };
  record_balance: { queue: "metrics"; record: Balance };
  record_rate: { queue: "rates"; record: Rate };
  record_void: { queue: "corrections"; record: Void };
  request_job: { queue: "jobs"; record: Job };
}

/** A line of the NDJSON form, as `jarvis publish` and `jarvis import` take it. */
export type Line =
  | ({ type: "fill" } & Fill)
  | ({ type: "fee" } & Fee)
  | ({ type: "deposit" } & Deposit)
  | ({ type: "withdrawal" } & Withdrawal)
  | ({ type: "order" } & Order)
  | ({ type: "metrics" } & Metrics)
  | ({ type: "balance" } & Balance)
  | ({ type: "rate" } & Rate)
  | ({ type: "void" } & Void);
