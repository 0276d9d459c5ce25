// A Medusa subscriber that tells ecrm of every order: src/subscribers/ecrm.ts.
// ECRM_WEBHOOK_URL is the channel's `webhook_url`, ECRM_WEBHOOK_SECRET its `config.webhook_secret`.
import { Webhook } from "standardwebhooks"

const cents = (amount, currency) => ({ amount: Math.round(amount * 100), currency: currency.toUpperCase() })

export default async function tellEcrm({ event, container }) {
  const { data: [order] } = await container.resolve("query").graph({
    entity: "order", filters: { id: event.data.id }, fields: ["*", "items.*", "customer.*"] })
  const money = (amount) => cents(amount, order.currency_code)
  const body = JSON.stringify({ type: event.name, timestamp: new Date().toISOString(), data: {
    external_id: order.id, number: String(order.display_id), email: order.email,
    currency: order.currency_code.toUpperCase(), source_updated_at: order.updated_at, total: money(order.total),
    line_items: order.items.map((item) => ({ external_id: item.id, sku: item.variant_sku ?? undefined,
      name: item.title, quantity: item.quantity, unit_price: money(item.unit_price) })),
    shipping_total: money(order.shipping_total), tax_total: money(order.tax_total),
    discount_total: money(order.discount_total) } })
  const [id, at] = [`${event.name}:${order.id}:${+new Date(order.updated_at)}`, new Date()]
  const signature = new Webhook(process.env.ECRM_WEBHOOK_SECRET).sign(id, at, body)
  await fetch(process.env.ECRM_WEBHOOK_URL, { method: "POST", body, headers: { "webhook-id": id,
    "webhook-timestamp": String(Math.floor(+at / 1000)), "webhook-signature": signature } })
}

export const config = { event: ["order.placed", "order.updated", "order.canceled", "order.completed"] }
