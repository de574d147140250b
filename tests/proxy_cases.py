"""Each message that proxy_message can let a charger send: as a client writes it, and as the CSMS must see it.

For tests/e2e/test_commands_at_the_csms.py. `PROXIES[version][action]` is the payload in the API's snake_case and
the same in OCPP's own spelling; the names of actions are those of api-contract.md and two more that we add.
"""

from __future__ import annotations

from typing import Any, Final

from tests.command_cases import TAG, TIME, V16, V201

#: The payload as it is ordered, and the action and payload as they arrive.
Proxied = tuple[dict[str, Any], str, dict[str, Any]]

_TOKEN: Final = ({"id_token": TAG, "type": "Central"}, {"idToken": TAG, "type": "Central"})

PROXIES16: Final[dict[str, Proxied]] = {
    "authorize": ({"id_tag": TAG}, "Authorize", {"idTag": TAG}),
    "boot_notification": (
        {"charge_point_vendor": "By hand", "charge_point_model": "Model 7"},
        "BootNotification",
        {"chargePointVendor": "By hand", "chargePointModel": "Model 7"},
    ),
    "data_transfer": (
        {"vendor_id": "org.example", "message_id": "ping", "data": "x"},
        "DataTransfer",
        {"vendorId": "org.example", "messageId": "ping", "data": "x"},
    ),
    "diagnostics_status_notification": (
        {"status": "Uploaded"},
        "DiagnosticsStatusNotification",
        {"status": "Uploaded"},
    ),
    "firmware_status_notification": (
        {"status": "Installed"},
        "FirmwareStatusNotification",
        {"status": "Installed"},
    ),
    "heartbeat": ({}, "Heartbeat", {}),
    "log_status_notification": (
        {"status": "Uploaded", "request_id": 7},
        "LogStatusNotification",
        {"status": "Uploaded", "requestId": 7},
    ),
    "meter_values": (
        {
            "connector_id": 1,
            "meter_value": [{"timestamp": TIME, "sampled_value": [{"value": "42", "unit": "Wh"}]}],
        },
        "MeterValues",
        {
            "connectorId": 1,
            "meterValue": [{"timestamp": TIME, "sampledValue": [{"value": "42", "unit": "Wh"}]}],
        },
    ),
    "security_event_notification": (
        {"type": "TamperDetectionActivated", "timestamp": TIME, "tech_info": "The lid is open"},
        "SecurityEventNotification",
        {"type": "TamperDetectionActivated", "timestamp": TIME, "techInfo": "The lid is open"},
    ),
    "signed_firmware_status_notification": (
        {"status": "Installed", "request_id": 7},
        "SignedFirmwareStatusNotification",
        {"status": "Installed", "requestId": 7},
    ),
    "start_transaction": (
        {"connector_id": 2, "id_tag": TAG, "meter_start": 10, "timestamp": TIME},
        "StartTransaction",
        {"connectorId": 2, "idTag": TAG, "meterStart": 10, "timestamp": TIME},
    ),
    "status_notification": (
        {"connector_id": 2, "status": "Available", "error_code": "NoError", "info": "By hand"},
        "StatusNotification",
        {"connectorId": 2, "status": "Available", "errorCode": "NoError", "info": "By hand"},
    ),
    "stop_transaction": (
        {"transaction_id": 4711, "meter_stop": 20, "timestamp": TIME, "reason": "Other"},
        "StopTransaction",
        {"transactionId": 4711, "meterStop": 20, "timestamp": TIME, "reason": "Other"},
    ),
}

PROXIES201: Final[dict[str, Proxied]] = {
    "authorize": ({"id_token": _TOKEN[0]}, "Authorize", {"idToken": _TOKEN[1]}),
    "boot_notification": (
        {
            "reason": "Triggered",
            "charging_station": {"vendor_name": "By hand", "model": "Model 7"},
        },
        "BootNotification",
        {"reason": "Triggered", "chargingStation": {"vendorName": "By hand", "model": "Model 7"}},
    ),
    "data_transfer": (
        {"vendor_id": "org.example", "message_id": "ping", "data": "x"},
        "DataTransfer",
        {"vendorId": "org.example", "messageId": "ping", "data": "x"},
    ),
    "firmware_status_notification": (
        {"status": "Installed", "request_id": 7},
        "FirmwareStatusNotification",
        {"status": "Installed", "requestId": 7},
    ),
    "heartbeat": ({}, "Heartbeat", {}),
    "log_status_notification": (
        {"status": "Uploaded", "request_id": 7},
        "LogStatusNotification",
        {"status": "Uploaded", "requestId": 7},
    ),
    "meter_values": (
        {
            "evse_id": 1,
            "meter_value": [{"timestamp": TIME, "sampled_value": [{"value": 42}]}],
        },
        "MeterValues",
        {"evseId": 1, "meterValue": [{"timestamp": TIME, "sampledValue": [{"value": 42}]}]},
    ),
    "notify_customer_information": (
        {"data": "Nobody", "seq_no": 0, "generated_at": TIME, "request_id": 7},
        "NotifyCustomerInformation",
        {"data": "Nobody", "seqNo": 0, "generatedAt": TIME, "requestId": 7},
    ),
    "notify_event": (
        {
            "generated_at": TIME,
            "seq_no": 0,
            "event_data": [
                {
                    "event_id": 1,
                    "timestamp": TIME,
                    "trigger": "Alerting",
                    "actual_value": "true",
                    "event_notification_type": "HardWiredNotification",
                    "component": {"name": "Connector", "evse": {"id": 1, "connector_id": 1}},
                    "variable": {"name": "Problem"},
                }
            ],
        },
        "NotifyEvent",
        {
            "generatedAt": TIME,
            "seqNo": 0,
            "eventData": [
                {
                    "eventId": 1,
                    "timestamp": TIME,
                    "trigger": "Alerting",
                    "actualValue": "true",
                    "eventNotificationType": "HardWiredNotification",
                    "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
                    "variable": {"name": "Problem"},
                }
            ],
        },
    ),
    "notify_report": (
        {"request_id": 7, "generated_at": TIME, "seq_no": 0},
        "NotifyReport",
        {"requestId": 7, "generatedAt": TIME, "seqNo": 0},
    ),
    "publish_firmware_status_notification": (
        {"status": "Published", "location": ["http://127.0.0.1/firmware"], "request_id": 7},
        "PublishFirmwareStatusNotification",
        {"status": "Published", "location": ["http://127.0.0.1/firmware"], "requestId": 7},
    ),
    "report_charging_profiles": (
        {
            "request_id": 7,
            "charging_limit_source": "CSO",
            "evse_id": 1,
            "charging_profile": [
                {
                    "id": 1,
                    "stack_level": 0,
                    "charging_profile_purpose": "TxDefaultProfile",
                    "charging_profile_kind": "Relative",
                    "charging_schedule": [
                        {
                            "id": 1,
                            "charging_rate_unit": "A",
                            "charging_schedule_period": [{"start_period": 0, "limit": 16}],
                        }
                    ],
                }
            ],
        },
        "ReportChargingProfiles",
        {
            "requestId": 7,
            "chargingLimitSource": "CSO",
            "evseId": 1,
            "chargingProfile": [
                {
                    "id": 1,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxDefaultProfile",
                    "chargingProfileKind": "Relative",
                    "chargingSchedule": [
                        {
                            "id": 1,
                            "chargingRateUnit": "A",
                            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
                        }
                    ],
                }
            ],
        },
    ),
    "reservation_status_update": (
        {"reservation_id": 7, "reservation_update_status": "Expired"},
        "ReservationStatusUpdate",
        {"reservationId": 7, "reservationUpdateStatus": "Expired"},
    ),
    "security_event_notification": (
        {"type": "TamperDetectionActivated", "timestamp": TIME, "tech_info": "The lid is open"},
        "SecurityEventNotification",
        {"type": "TamperDetectionActivated", "timestamp": TIME, "techInfo": "The lid is open"},
    ),
    "status_notification": (
        {"timestamp": TIME, "connector_status": "Reserved", "evse_id": 2, "connector_id": 1},
        "StatusNotification",
        {"timestamp": TIME, "connectorStatus": "Reserved", "evseId": 2, "connectorId": 1},
    ),
    "transaction_event": (
        {
            "event_type": "Updated",
            "timestamp": TIME,
            "trigger_reason": "SignedDataReceived",
            "seq_no": 9,
            "transaction_info": {"transaction_id": "by-hand", "charging_state": "Charging"},
            "id_token": _TOKEN[0],
        },
        "TransactionEvent",
        {
            "eventType": "Updated",
            "timestamp": TIME,
            "triggerReason": "SignedDataReceived",
            "seqNo": 9,
            "transactionInfo": {"transactionId": "by-hand", "chargingState": "Charging"},
            "idToken": _TOKEN[1],
        },
    ),
}

PROXIES: Final = {V16: PROXIES16, V201: PROXIES201}
