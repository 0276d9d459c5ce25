// A Medusa subscriber that tells ecrm of every order: src/subscribers/ecrm.ts.
// ECRM_WEBHOOK_URL is the channel's `webhook_url`, ECRM_WEBHOOK_SECRET its `config.webhook_secret`.
import { Webhook } from "standardwebhooks"

export default async function tellEcrm({ event, container }) {
  const find = async (entity, id, fields) =>
    (await container.resolve("query").graph({ entity, filters: { id }, fields })).data[0]
  const { id: about } = [event.data].flat()[0]
  const id = !event.name.startsWith("payment.") ? about
    : (await find("payment", about, ["payment_collection.order.id"])).payment_collection.order.id
  const order = await find("order", id, ["*", "items.*", "payment_collections.payments.captures.*",
    "payment_collections.payments.refunds.*"])
  const currency = order.currency_code.toUpperCase()
  const { maximumFractionDigits: digits } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions()
  const minor = (amount) => Math.round((amount ?? 0) * 10 ** digits)
  const [money, amount] = [(amount) => ({ amount: minor(amount), currency }), (amount) => ({ amount, currency })]
  const all = (what) => order.payment_collections.flatMap((one) => one.payments ?? []).flatMap((one) => one[what] ?? [])
  const status = { canceled: "cancelled", completed: "completed", archived: "archived" }[order.status] ?? "open"
  const line_items = order.items.map((item) => ({ external_id: item.id, sku: item.variant_sku ?? undefined,
    name: item.title, quantity: item.quantity, unit_price: money(item.unit_price) }))
  // Whether prices include the tax, and what a promotion takes off, Medusa says in many ways: the total counts.
  const off = line_items.reduce((sum, line) => sum + line.quantity * line.unit_price.amount, 0)
    + minor(order.shipping_total) + minor(order.tax_total) - minor(order.total)
  const body = JSON.stringify({ type: "order.updated", timestamp: new Date(), data: {
    external_id: order.id, number: String(order.display_id), email: order.email, status, currency,
    source_updated_at: order.updated_at, paid_total: money(all("captures").reduce((sum, one) => sum + one.amount, 0)),
    refunds: all("refunds").map((one) => ({ external_id: one.id, amount: money(one.amount), refunded_at: one.created_at })),
    line_items, shipping_total: money(order.shipping_total), tax_total: money(order.tax_total), total: money(order.total),
    discount_total: amount(Math.max(off, 0)), fee_total: amount(Math.max(-off, 0)) } })
  const [message, at] = [`${event.name}:${about}:${Date.now()}`, new Date()]
  const signature = new Webhook(process.env.ECRM_WEBHOOK_SECRET).sign(message, at, body)
  await fetch(process.env.ECRM_WEBHOOK_URL, { method: "POST", body, headers: { "webhook-id": message,
    "webhook-timestamp": String(Math.floor(+at / 1000)), "webhook-signature": signature } })
}

export const config = { event: ["order.placed", "order.updated", "order.canceled", "order.completed",
  "order.archived", "payment.captured", "payment.refunded"] }
