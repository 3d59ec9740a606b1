package fault

// Codes of refusals: what the API, the CLI and the console answer.
const (
	Internal       Code = "internal"
	NotFound       Code = "not_found"       // what, name
	AlreadyExists  Code = "already_exists"  // what, name
	Conflict       Code = "conflict"        // what, state, wanted
	InvalidField   Code = "invalid_field"   // field, problem, fix
	Unauthorized   Code = "unauthorized"    //
	Forbidden      Code = "forbidden"       // role
	TokenInvalid   Code = "token_invalid"   // problem
	TokenSpent     Code = "token_spent"     //
	TokenExpired   Code = "token_expired"   // at
	DeviceUnknown  Code = "device_unknown"  // device
	DeviceRetired  Code = "device_retired"  // device
	Unavailable    Code = "unavailable"     // what
	TooManyTries   Code = "too_many_tries"  // wait
	ReasonRequired Code = "reason_required" //
	NoSuchRole     Code = "no_such_role"    // role, roles
	NothingToDo    Code = "nothing_to_do"   // what
	ProofMissing   Code = "proof_missing"   // proof
	NotRescanned   Code = "not_rescanned"   // device, at
	StillMissing   Code = "still_missing"   // device, patch
	StillFound     Code = "still_found"     // finding

	// Why a campaign is not closed, or its verification not signed.
	VerificationAhead    Code = "verification_ahead"    // at
	NotConfirmed         Code = "not_confirmed"         //
	VerificationUnsigned Code = "verification_unsigned" // role
	VerificationRefused  Code = "verification_refused"  // role, by, comment
)

// What an operator wrote in two languages (the reason of a freeze) is one
// argument here, and travels as two: reason_fr and reason_en.

// Codes of reasons: why a device × patch, a ring or a campaign is where it is.
const (
	// A device × patch waits.
	RingNotOpen       Code = "ring_not_open"         // ring, opens
	ItemNotPromoted   Code = "item_not_promoted"     // ring
	OutsideWindow     Code = "outside_window"        // next
	NoWindow          Code = "no_window"             //
	WindowTooShort    Code = "window_too_short"      // need, left
	WindowNever       Code = "window_never"          // need, longest
	NeedsWindows      Code = "needs_windows"         // windows
	CampaignHeld      Code = "campaign_held"         // by, reason
	RingHeld          Code = "ring_held"             // by, reason, ring
	ItemHeld          Code = "item_held"             // by, reason
	DeviceHeld        Code = "device_held"           // by, reason
	PatchPending      Code = "patch_pending"         //
	PatchDelayed      Code = "patch_delayed"         // until
	PatchDeclined     Code = "patch_declined"        // by, reason, until
	DeviceUnreachable Code = "device_unreachable"    // since
	NeverScanned      Code = "never_scanned"         //
	ScanStale         Code = "scan_stale"            // at
	ScanRefused       Code = "scan_failed"           // cause
	OrderInFlight     Code = "order_in_flight"       // step, since
	OtherOrder        Code = "other_order"           // campaign
	RetryBackoff      Code = "retry_backoff"         // attempt, attempts, next
	AttemptsExhausted Code = "attempts_exhausted"    // attempts
	Quarantined       Code = "quarantined"           // attempts
	ItemWithdrawn     Code = "item_withdrawn"        // by, reason
	CampaignClosed    Code = "campaign_closed"       //
	CampaignNotOpen   Code = "campaign_not_open"     // opens
	CampaignDraft     Code = "campaign_draft"        //
	NotApplicable     Code = "not_applicable"        //
	Superseded        Code = "superseded"            // by
	DeclinedByRule    Code = "declined_by_rule"      // rule, until
	DelayedByRule     Code = "delayed_by_rule"       // rule, until
	ExceptionInForce  Code = "exception_in_force"    // exception, owner, reason, until
	SafeguardHold     Code = "safeguard_hold"        // safeguard, reason
	Frozen            Code = "frozen"                // freeze, reason, until
	LimitReached      Code = "limit_reached"         // limit, have, max
	LimitStopped      Code = "limit_stopped"         // limit, have, max
	LimitTurn         Code = "limit_turn"            // limit, device
	NotInContent      Code = "not_in_content"        // campaign
	NotInPerimeter    Code = "not_in_perimeter"      // campaign
	RebootPendingNow  Code = "reboot_pending"        //
	AwaitingVerify    Code = "awaiting_verification" //
	RebootOrdered     Code = "reboot_ordered"        //
	RollbackAsked     Code = "rollback_asked"        // by, reason
	RollbackCannot    Code = "rollback_impossible"   // why
	RollbackRehearsal Code = "rollback_rehearsal"    //
	RehearsalFailed   Code = "rehearsal_failed"      // package, cause

	// An agent says what stopped it.
	LockHeld       Code = "lock_held"       // holder, pid, waited
	DiskFull       Code = "disk_full"       // mount, need, free
	WouldRemove    Code = "would_remove"    // packages
	PlanDrift      Code = "plan_drift"      // packages
	VersionGone    Code = "version_gone"    // package, version, available
	HeldOnDevice   Code = "held_on_device"  // packages
	PackageFailed  Code = "package_failed"  // package, state, error
	DownloadFailed Code = "download_failed" // error
	RepositoryDown Code = "repository_down" // error
	DpkgBroken     Code = "dpkg_broken"     // packages
	NoEffect       Code = "no_effect"       // package, version
	LocalVeto      Code = "local_veto"      // rule
	OrderExpired   Code = "order_expired"   // at
	OrderStale     Code = "order_stale"     // serial, have
	OrderForged    Code = "order_forged"    // problem
	RegisterForked Code = "register_forked" // size, have
	// What a device testifies of a register that was restored from a backup: at
	// is when, backup what it held, seen what the device had seen before it. In
	// the second it could prove nothing of what the backup held.
	RegisterRestored         Code = "register_restored"          // at, backup, seen
	RegisterRestoredUnproven Code = "register_restored_unproven" // at, backup, seen
	ClockJumped              Code = "clock_jumped"               // by
	OnBattery                Code = "on_battery"                 // percent, need
	RebootLoop               Code = "reboot_loop"                // boots
	RebootRefused            Code = "reboot_refused"             // problem
	RebootUnhelped           Code = "reboot_unhelped"            // signals
	RestoreReady             Code = "restore_ready"              //
	NoOldPackage             Code = "no_old_package"             // package, version
	NewPackage               Code = "new_package"                // package
	ToolFailed               Code = "tool_failed"                // tool, exit, error
	Interrupted              Code = "interrupted"                // step
	HookFailed               Code = "hook_failed"                // hook, exit
	OrderCancelled           Code = "order_cancelled"            //
	Stalled                  Code = "stalled"                    // since, step
	SpoolFull                Code = "spool_full"                 // dropped

	// A device waits for the person at it.
	AwaitingUser      Code = "awaiting_user"      // user, until
	UserPostponed     Code = "user_postponed"     // user, until
	UserBusy          Code = "user_busy"          // user, app
	UserFullScreen    Code = "user_full_screen"   // user, app
	UserUndisturbed   Code = "user_undisturbed"   // user
	DeadlineCountdown Code = "deadline_countdown" // until
	RebootByUser      Code = "reboot_by_user"     // until
	NoticeNotShown    Code = "notice_not_shown"   // problem
	AnswerNotTaken    Code = "answer_not_taken"   // why, at

	// The page of a device.
	LinkExpired Code = "link_expired" // at
	LinkInvalid Code = "link_invalid" //

	// A device waits for its reboot.
	RebootNoRule    Code = "reboot_no_rule"   //
	RebootNotHere   Code = "reboot_not_here"  //
	RebootUnread    Code = "reboot_unread"    //
	RebootSurvived  Code = "reboot_survived"  // boots, signals
	AgentOutdated   Code = "agent_outdated"   // have, need
	RebootHappening Code = "reboot_happening" //

	// A device that is off, and may be woken.
	WakeAsked       Code = "wake_asked"        // at, by, tries, max
	WakeUnanswered  Code = "wake_unanswered"   // at, by, tries, max
	WakeNoCard      Code = "wake_no_card"      //
	WakeNoNeighbour Code = "wake_no_neighbour" //
	WakeRefused     Code = "wake_refused"      // why

	// A ring or a gate.
	RingWaitsCalendar  Code = "ring_waits_calendar"   // opens
	RingWaitsPrevious  Code = "ring_waits_previous"   // ring
	RingRunning        Code = "ring_running"          // not_reached
	RingSoaking        Code = "ring_soaking"          // until
	GateEmptyRing      Code = "gate_empty_ring"       //
	GateTooFew         Code = "gate_too_few"          // have, need
	GateDoneTooLow     Code = "gate_done_too_low"     // have, need
	GateFailedTooMany  Code = "gate_failed_too_many"  // have, max
	GateUnreachable    Code = "gate_unreachable"      // have, max
	GateNotReached     Code = "gate_not_reached"      // have, max
	GateIncidentOpen   Code = "gate_incident_open"    // severity, count
	GateSignOffMissing Code = "gate_sign_off_missing" // role, title
	GateSignOffRefused Code = "gate_sign_off_refused" // role, by, comment
	GateTaskOpen       Code = "gate_task_open"        // count
	GateTestOpen       Code = "gate_test_open"        // count
	GateTestFailed     Code = "gate_test_failed"      // count
	GateNotRehearsed   Code = "gate_not_rehearsed"    // have, need, patches
	GateProvenTooLow   Code = "gate_proven_too_low"   // have, need
	GateUseTooShort    Code = "gate_use_too_short"    // have, need
	GateRegressions    Code = "gate_regressions"      // have, max, measures
	GateComplaints     Code = "gate_complaints"       // have, max
	GateUnmeasured     Code = "gate_unmeasured"       // what
	GateHealthUnknown  Code = "gate_health_unknown"   // measures
	GatePassed         Code = "gate_passed"           //
	Expedited          Code = "expedited"             // by, reason

	// The breaker's own holds; role: who must act.
	BreakerFailures    Code = "breaker_failures"    // have, of, role
	BreakerUnreachable Code = "breaker_unreachable" // have, devices, role
	BreakerRegressions Code = "breaker_regressions" // measures, role
	BreakerProbes      Code = "breaker_probes"      // servers, workstations, probes, role
	BreakerService     Code = "breaker_service"     // service, servers, workstations, devices, role
	BreakerComplaints  Code = "breaker_complaints"  // have, role
	BreakerElsewhere   Code = "breaker_elsewhere"   // have, campaigns, role

	// What a rule of alerts held by itself for; role: who must act. A value is
	// the measure's name and the number.
	AlertMeasure Code = "alert_measure" // alert, title, device, measure, value, limit, role
	AlertProbe   Code = "alert_probe"   // alert, title, device, probes, role

	// What patched devices did, as measured. before, after: what a patched device
	// usually is at those hours and was; others: those not yet patched.
	HealthWorse         Code = "health_worse"           // measure, count, before, after, others, others_before, others_after, p
	HealthWorsePast     Code = "health_worse_past"      // measure, count, before, after, days, p
	HealthWorseAlone    Code = "health_worse_alone"     // measure, count, before, after, days, p
	HealthWorseSome     Code = "health_worse_some"      // measure, count, of, others, others_of, p
	HealthWorseSomePast Code = "health_worse_some_past" // measure, count, of, days, p
	HealthBetter        Code = "health_better"          // measure, count, before, after, others, others_before, others_after
	HealthBetterPast    Code = "health_better_past"     // measure, count, before, after, days
	HealthSame          Code = "health_same"            // measure, count, before, after
	HealthUnsure        Code = "health_unsure"          // measure, count, why

	// Why an emergency does not start, beside the sign-offs that are missing.
	SecondPersonMissing Code = "second_person_missing" // by
	NoEmergency         Code = "no_emergency"          // procedure

	// Why a device is no pilot.
	PilotExcluded  Code = "pilot_excluded"  //
	PilotElsewhere Code = "pilot_elsewhere" // ring
	PilotRefused   Code = "pilot_refused"   //
	PilotAbsent    Code = "pilot_absent"    // day
	PilotsEnough   Code = "pilots_enough"   // max
	DepartmentFull Code = "department_full" // department, max
	NeverSeen      Code = "never_seen"      //

	// What is to be put right before a campaign.
	RebootPendingFor Code = "reboot_pending_for" // since
	DiskShort        Code = "disk_short"         // need, free
	ListsStale       Code = "lists_stale"        // at
	ExceptionEnds    Code = "exception_ends"     // exception, owner, until
	CertificateEnds  Code = "certificate_ends"   // until
	DuplicateMachine Code = "duplicate_machine"  // device
	NoWindowAhead    Code = "no_window_ahead"    // until

	// What is told of alerts does not arrive.
	OutputFailed  Code = "output_failed"  // step, said
	OutputGone    Code = "output_gone"    // output
	SecretMissing Code = "secret_missing" // where, problem

	// A clean-up waits.
	CleanUpAsks    Code = "clean_up_asks"    //
	CleanUpResting Code = "clean_up_resting" // next
	CleanUpRetry   Code = "clean_up_retry"   // next
	CleanUpUnable  Code = "clean_up_unable"  //
	CleanUpBehind  Code = "clean_up_behind"  //
	CleanUpCut     Code = "clean_up_cut"     // at

	// A system that is too old to be patched, or a device too small for it.
	SystemEnded   Code = "system_ended"   // system, day
	SystemEndsOn  Code = "system_ends_on" // system, day
	HardwareShort Code = "hardware_short" // system, part, have, need

	// A probe says no. A veto of the local file is local_veto.
	ProbeRefused         Code = "probe_refused"             // target
	ProbeTimeout         Code = "probe_timeout"             // target
	ProbeNoName          Code = "probe_no_name"             // target
	ProbeFailed          Code = "probe_failed"              // target, problem
	ProbeTarget          Code = "probe_target"              // target
	ProbeTLS             Code = "probe_tls"                 // target, problem
	ProbeStatus          Code = "probe_status"              // target, status, want
	ProbeBody            Code = "probe_body"                // target, want
	ProbeRedirect        Code = "probe_redirect"            // target, to
	ProbeNotRunning      Code = "probe_not_running"         // service, state
	ProbeNoService       Code = "probe_no_service"          // service
	ProbeNoProcess       Code = "probe_no_process"          // process
	ProbeCertificateEnds Code = "probe_certificate_expires" // target, at, subject
	ProbeUnreadable      Code = "probe_unreadable"          // target
	ProbeUnsupported     Code = "probe_unsupported"         // what
)
