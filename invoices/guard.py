"""The guard's part for invoices: an order and the invoices that bill it never say different things."""

from django.db.migrations import RunSQL

CHECK_INVOICES = RunSQL(
    sql="""
CREATE FUNCTION flint_check_invoices(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    o orders_order;
    i invoices_invoice;
    fees bigint;
    billed bigint;
    unbilled bigint;
    outstanding bigint;
    kept bigint;
BEGIN
    SELECT * INTO o FROM orders_order WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO i FROM invoices_invoice
        WHERE order_id = checked AND issued_at IS NOT NULL AND status <> 'void' ORDER BY sequence DESC LIMIT 1;
    IF o.invoice_id IS DISTINCT FROM COALESCE(i.id, '') THEN
        RAISE EXCEPTION 'flint guard: order % is billed by % but says %', checked, i.id, o.invoice_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'order_invoice_is_the_last_issued';
    END IF;
    IF i.id IS NULL THEN
        PERFORM flint_refuse(checked, 'order_is_under_no_invoice', o.is_under_invoice::int, 0);
        RETURN;
    END IF;
    PERFORM flint_refuse(checked, 'invoice_is_in_its_orders_currency', (i.currency = o.currency)::int, 1);
    PERFORM flint_refuse(checked, 'order_is_under_its_open_invoice', o.is_under_invoice::int,
                         (i.status IN ('open', 'partially_paid'))::int);

    SELECT COALESCE(SUM(total_amount), 0)::bigint INTO billed FROM invoices_invoice
        WHERE order_id = checked AND issued_at IS NOT NULL AND status <> 'void';
    SELECT COALESCE(SUM(f.amount - f.waived_amount), 0)::bigint INTO fees
        FROM invoices_invoicelatefee f JOIN invoices_invoice v ON v.id = f.invoice_id
        WHERE v.order_id = checked AND v.status <> 'void';
    unbilled := o.total_amount - billed - fees;
    -- More may be sold than is billed, even while an invoice asks: one that was paid asks again after a dispute.
    IF unbilled < 0 THEN
        PERFORM flint_refuse(checked, 'invoices_bill_what_the_order_is_worth', billed + fees, o.total_amount);
    END IF;
    IF i.status NOT IN ('open', 'partially_paid', 'paid', 'credited') THEN
        RETURN;
    END IF;
    outstanding := GREATEST(
        o.total_amount - o.credit_amount - o.paid_amount + o.refunded_amount + o.charged_back_amount, 0) - unbilled;
    kept := o.paid_amount - i.base_paid_amount - (o.refunded_amount - i.base_refunded_amount)
            - (o.charged_back_amount - i.base_charged_back_amount);
    PERFORM flint_refuse(checked, 'invoice_asks_iff_its_order_owes', (i.status IN ('open', 'partially_paid'))::int,
                         (outstanding > 0)::int);
    IF outstanding > 0 THEN
        PERFORM flint_refuse(checked, 'invoice_is_partially_paid_iff_something_is_kept',
                             (i.status = 'partially_paid')::int, (kept > 0)::int);
    END IF;
END $$;

CREATE FUNCTION flint_check_invoices_of_order() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_invoices(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION flint_check_invoices_of_fee() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_invoices(order_id) FROM invoices_invoice WHERE id = NEW.invoice_id;
    RETURN NULL;
END $$;

-- Only for orders that are billed: most never are, and pay nothing for it.
CREATE CONSTRAINT TRIGGER order_is_checked_with_its_invoices
    AFTER UPDATE OF total_amount, credit_amount, paid_amount, refunded_amount, charged_back_amount, invoice_id,
        is_under_invoice ON orders_order
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.invoice_id <> '' OR OLD.invoice_id <> '' OR NEW.is_under_invoice)
    EXECUTE FUNCTION flint_check_invoices_of_order();

CREATE CONSTRAINT TRIGGER late_fee_is_checked_with_its_order
    AFTER INSERT OR UPDATE ON invoices_invoicelatefee
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_invoices_of_fee();
""",
    reverse_sql="""
DROP TRIGGER late_fee_is_checked_with_its_order ON invoices_invoicelatefee;
DROP TRIGGER order_is_checked_with_its_invoices ON orders_order;
DROP FUNCTION flint_check_invoices_of_fee;
DROP FUNCTION flint_check_invoices_of_order;
DROP FUNCTION flint_check_invoices;
""",
)
