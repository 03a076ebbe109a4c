// System V AMD64 ABI. See switch.h.
//
// A parked stack, from where its pointer points:
//
//     %r15  %r14  %r13  %r12  %rbx  %rbp  return address

    .text

    .globl  coro_swap
    .hidden coro_swap
    .type   coro_swap, @function
    .p2align 4
coro_swap:
    .cfi_startproc
    endbr64
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp // the other stack looks the same to unwinders
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret
    .cfi_endproc
    .size   coro_swap, . - coro_swap

// Where a new coroutine begins: %r12 is entry, %r13 its argument.
    .type   begin, @function
begin:
    .cfi_startproc
    .cfi_undefined %rip // the outermost frame: debuggers and unwinders stop here
    endbr64
    xorl    %ebp, %ebp // and those that follow frame pointers
    movq    %r13, %rdi
    callq   *%r12
    ud2
    .cfi_endproc
    .size   begin, . - begin

    .globl  coro_prepare
    .hidden coro_prepare
    .type   coro_prepare, @function
    .p2align 4
coro_prepare:
    .cfi_startproc
    endbr64
    leaq    begin(%rip), %rax
    movq    %rax, -8(%rdi)  // return address
    movq    $0, -16(%rdi)   // %rbp
    movq    $0, -24(%rdi)   // %rbx
    movq    %rsi, -32(%rdi) // %r12
    movq    %rdx, -40(%rdi) // %r13
    movq    $0, -48(%rdi)   // %r14
    movq    $0, -56(%rdi)   // %r15
    leaq    -56(%rdi), %rax
    ret
    .cfi_endproc
    .size   coro_prepare, . - coro_prepare

    .section .note.GNU-stack, "", @progbits

// Indirect branches may be tracked (IBT). A shadow stack may not be in force: it would have to be
// switched, too, and without this bit the linker tells the C library to leave it off.
    .section .note.gnu.property, "a", @note
    .p2align 3
    .long   4, 16, 5 // sizes of name and contents; NT_GNU_PROPERTY_TYPE_0
    .asciz  "GNU"
    .long   0xc0000002, 4, 1, 0 // GNU_PROPERTY_X86_FEATURE_1_AND: IBT
