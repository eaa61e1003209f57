"""The definitions of the sources, as printed there, translated to Python literals."""

import math

ORDER_STATES_B = {
    "pending": {"on": {"VALIDATE": "validating", "CANCEL": "cancelled"}},
    "validating": {
        "on": {"VALIDATION_SUCCESS": "validated", "VALIDATION_FAILED": "validation-failed"},
        "timeout": 30000,
        "timeoutTransition": "validation-failed",
    },
    "validated": {"on": {"PROCESS_PAYMENT": "processing-payment"}},
    "processing-payment": {
        "on": {"PAYMENT_SUCCESS": "paid", "PAYMENT_FAILED": "payment-failed"},
        "retry": {"maxAttempts": 3, "on": "PAYMENT_FAILED"},
    },
    "paid": {"on": {"FULFILL": "fulfilling"}},
    "fulfilling": {"on": {"SHIPPED": "shipped", "FULFILLMENT_FAILED": "fulfillment-failed"}},
    "shipped": {"on": {"DELIVERED": "delivered", "RETURN_REQUESTED": "returning"}},
    "delivered": {"terminal": True},
    "cancelled": {"terminal": True},
    "validation-failed": {"terminal": True},
    "payment-failed": {"terminal": True},
    "fulfillment-failed": {"on": {"RETRY": "fulfilling"}},
}

ORDER_FULFILLMENT = {
    "name": "Order Fulfillment Automation",
    "type": "automation",
    "subtype": "workflow",
    "steps": [
        {
            "id": "validate", "name": "Validate Order", "type": "function", "required": True, "timeout": 5000,
            "retryPolicy": {"maxAttempts": 3, "backoff": "exponential"},
        },
        {
            "id": "payment", "name": "Process Payment", "type": "function", "required": True, "timeout": 30000,
            "dependsOn": ["validate"],
        },
        {
            "id": "inventory", "name": "Reserve Inventory", "type": "parallel", "required": True, "dependsOn": ["payment"],
            "steps": [{"id": "check-stock", "name": "Check Stock"}, {"id": "reserve", "name": "Reserve Items"}],
        },
        {"id": "shipping", "name": "Schedule Shipping", "type": "function", "required": True, "dependsOn": ["inventory"]},
        {"id": "notification", "name": "Send Confirmation", "type": "function", "required": False, "dependsOn": ["shipping"]},
    ],
    "pricing": {
        "model": "per-execution", "baseRate": 0.5, "stepRates": {"payment": 0.2, "shipping": 0.15, "notification": 0.05},
    },
}  # fmt: skip

ONBOARDING = {
    "name": "Customer Onboarding",
    "type": "automation",
    "subtype": "workflow",
    "steps": [
        {"id": "profile", "name": "Create Profile", "type": "function", "required": True},
        {
            "id": "verify-identity", "name": "Identity Verification", "type": "condition", "required": True, "dependsOn": ["profile"],
            "condition": 'inputs.accountType === "business"',
            "then": {"id": "business-verification", "name": "Business Verification", "type": "function"},
            "else": {"id": "personal-verification", "name": "Personal Verification", "type": "function"},
        },
        {
            "id": "setup-features", "name": "Setup Features", "type": "condition", "dependsOn": ["verify-identity"],
            "condition": 'results["verify-identity"].verified === true',
            "then": {
                "id": "enable-all-features", "type": "parallel",
                "steps": [
                    {"id": "api-access", "name": "Enable API Access"}, {"id": "integrations", "name": "Setup Integrations"},
                    {"id": "team-invite", "name": "Invite Team Members"},
                ],
            },
            "else": {"id": "limited-access", "name": "Enable Basic Features", "type": "function"},
        },
        {"id": "send-welcome", "name": "Send Welcome Email", "type": "function", "required": False, "dependsOn": ["setup-features"]},
    ],
    "pricing": {"model": "per-execution", "rate": 1.0},
}  # fmt: skip

CONTENT = {
    "name": "Content Production Pipeline",
    "type": "automation",
    "subtype": "workflow",
    "steps": [
        {"id": "research", "name": "Topic Research", "type": "function", "required": True, "timeout": 120000},
        {
            "id": "create-assets", "name": "Create Content Assets", "type": "parallel", "required": True, "dependsOn": ["research"],
            "strategy": "all",
            "steps": [
                {"id": "write-article", "name": "Write Article", "type": "function", "timeout": 300000},
                {"id": "generate-images", "name": "Generate Images", "type": "function", "timeout": 180000},
                {"id": "create-social", "name": "Create Social Posts", "type": "function", "timeout": 120000},
                {"id": "record-video", "name": "Generate Video Script", "type": "function", "timeout": 240000},
            ],
        },
        {
            "id": "quality-check", "name": "Quality Assurance", "type": "parallel", "required": True, "dependsOn": ["create-assets"],
            "steps": [
                {"id": "grammar-check", "name": "Grammar Check", "type": "function"},
                {"id": "seo-check", "name": "SEO Analysis", "type": "function"},
                {"id": "plagiarism-check", "name": "Plagiarism Check", "type": "function"},
            ],
        },
        {"id": "publish", "name": "Publish Content", "type": "function", "required": True, "dependsOn": ["quality-check"]},
    ],
    "pricing": {"model": "per-execution", "baseRate": 50.0, "parallelDiscount": 0.1},
}  # fmt: skip

INVOICE = {
    "name": "Invoice Processing",
    "type": "automation",
    "subtype": "workflow",
    "steps": [
        {
            "id": "extract", "name": "Extract Invoice Data", "type": "function", "required": True, "timeout": 30000,
            "retryPolicy": {"maxAttempts": 3, "backoff": "exponential", "baseDelay": 1000, "maxDelay": 30000}, "onError": "retry",
        },
        {
            "id": "validate", "name": "Validate Invoice", "type": "function", "required": True, "timeout": 10000,
            "retryPolicy": {"maxAttempts": 2, "backoff": "linear", "baseDelay": 2000}, "onError": "human-review",
        },
        {
            "id": "approve", "name": "Get Approval", "type": "function", "required": True, "timeout": 300000,
            "onError": "notify-manager",
        },
        {
            "id": "process-payment", "name": "Process Payment", "type": "function", "required": True, "dependsOn": ["approve"],
            "timeout": 60000, "retryPolicy": {"maxAttempts": 3, "backoff": "exponential", "baseDelay": 5000}, "onError": "rollback",
            "compensation": {
                "steps": [
                    {"action": "reverse-approval", "stepId": "approve"},
                    {"action": "notify-failure", "params": {"reason": "payment-failed"}},
                ],
            },
        },
        {
            "id": "update-accounting", "name": "Update Accounting System", "type": "function", "required": True,
            "dependsOn": ["process-payment"], "timeout": 30000, "onError": "log-and-continue",
        },
        {
            "id": "notify-completion", "name": "Send Completion Notice", "type": "function", "required": False,
            "dependsOn": ["update-accounting"],
        },
    ],
    "errorHandling": {
        "defaultRetryPolicy": {"maxAttempts": 2, "backoff": "exponential", "baseDelay": 1000},
        "compensationStrategy": "reverse-order",
        "notifyOnFailure": True,
    },
    "pricing": {"model": "per-execution", "rate": 2.0, "failureRefund": 1.0},
}  # fmt: skip

EXPENSE = {
    "name": "Expense Approval Workflow",
    "type": "automation",
    "subtype": "workflow",
    "steps": [
        {"id": "extract", "name": "Extract Expense Data", "type": "function", "required": True},
        {"id": "policy-check", "name": "Check Against Policy", "type": "function", "required": True, "dependsOn": ["extract"]},
        {
            "id": "approval-routing", "name": "Route for Approval", "type": "condition", "required": True,
            "dependsOn": ["policy-check"], "condition": 'results["policy-check"].autoApprove === true',
            "then": {"id": "auto-approve", "name": "Auto Approve", "type": "function"},
            "else": {
                "id": "human-approval", "name": "Human Approval Required", "type": "human-task", "timeout": 86400000,
                "assignTo": 'results["policy-check"].approver',
                "escalationPolicy": {"timeout": 43200000, "escalateTo": "manager"},
            },
        },
        {"id": "process", "name": "Process Expense", "type": "function", "required": True, "dependsOn": ["approval-routing"]},
    ],
    "pricing": {"model": "per-execution", "rates": {"automated": 0.25, "humanReview": 1.0}},
}  # fmt: skip

DOCUMENTS = {
    "name": "Document Processing",
    "pricing": {
        "model": "per-execution",
        "baseRate": 0.5,
        "stepRates": {"ocr": 0.25, "classify": 0.1, "extract": 0.15, "validate": 0.05},
        "discounts": {
            "volume": [
                {"min": 100, "max": 1000, "discount": 0.1},
                {"min": 1001, "max": 10000, "discount": 0.2},
                {"min": 10001, "max": math.inf, "discount": 0.3},
            ],
        },
    },
}

VIDEO = {
    "name": "Video Processing Pipeline",
    "pricing": {
        "model": "time-based",
        "rate": 0.1,
        "minimum": 1.0,
        "maximum": 100.0,
        "stepMultipliers": {"transcode": 1.5, "analyze": 1.2, "generate-thumbnails": 0.8},
    },
}

SUPPORT = {
    "name": "Support Ticket Routing",
    "steps": [
        {"id": "classify", "name": "Classify Ticket"},
        {"id": "priority", "name": "Assign Priority"},
        {"id": "route", "name": "Route to Team", "type": "condition"},
        {"id": "auto-respond", "name": "Auto Respond"},
        {"id": "monitor", "name": "Monitor Resolution"},
    ],
    "pricing": {"model": "per-execution", "rate": 0.15},
}

ECOMMERCE = {
    "name": "E-commerce Fulfillment",
    "steps": [
        {"id": "validate-order", "name": "Validate Order"},
        {"id": "check-inventory", "name": "Check Inventory"},
        {"id": "process-payment", "name": "Process Payment"},
        {"id": "pick-pack", "name": "Pick and Pack", "type": "parallel"},
        {"id": "ship", "name": "Ship Order"},
        {"id": "track", "name": "Track Shipment"},
        {"id": "confirm", "name": "Confirm Delivery"},
    ],
    "pricing": {"model": "per-execution", "rate": 1.5},
}
