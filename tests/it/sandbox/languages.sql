-- The languages that may do everything. Each function returns what it could do; an error would be told, too.
CREATE EXTENSION plperlu;
CREATE EXTENSION plpython3u;
CREATE EXTENSION pltclu;
CREATE FUNCTION perl() RETURNS text LANGUAGE plperlu AS $f$
    use IO::Socket::INET; use IO::Socket::UNIX;
    my @done;
    push @done, 'perl-write' if open(my $w, '>', '@OUT@/perl');
    push @done, 'perl-read' if open(my $r, '<', '@SECRET@');
    push @done, 'perl-system' if system('touch @OUT@/perl-system') == 0;
    push @done, 'perl-loader' if system('@LOADER@', '/bin/sh', '-c', 'exit 0') == 0;
    push @done, 'perl-tcp' if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => @LISTENER@, Timeout => 2);
    push @done, 'perl-unix' if IO::Socket::UNIX->new(Peer => '@SOCKET@/.s.PGSQL.@PORT@');
    push @done, 'perl-kill' if kill(9, @VICTIM@);
    return join(' ', @done);
$f$;
CREATE FUNCTION python() RETURNS text LANGUAGE plpython3u AS $f$
import json, os, socket, subprocess
found = []
def attempt(name, what):
    try:
        what()
    except PermissionError:
        return
    found.append(name)
attempt('python-write', lambda: open('@OUT@/python', 'w'))
attempt('python-read', lambda: open('@SECRET@'))
attempt('python-list', lambda: os.listdir('@REPO@'))
attempt('python-run', lambda: subprocess.run(['/bin/sh', '-c', 'touch @OUT@/python-run']))
attempt('python-tcp', lambda: socket.create_connection(('127.0.0.1', @LISTENER@), 2))
attempt('python-unix', lambda: socket.socket(socket.AF_UNIX).connect('@SOCKET@/.s.PGSQL.@PORT@'))
attempt('python-kill', lambda: os.kill(@VICTIM@, 9))
return ' '.join(found)
$f$;
CREATE FUNCTION tcl() RETURNS text LANGUAGE pltclu AS $f$
    set done {}
    if {![catch {open @OUT@/tcl w}]} {lappend done tcl-write}
    if {![catch {open @SECRET@ r}]} {lappend done tcl-read}
    if {![catch {exec touch @OUT@/tcl-exec}]} {lappend done tcl-exec}
    if {![catch {socket 127.0.0.1 @LISTENER@}]} {lappend done tcl-tcp}
    return [join $done " "]
$f$;
CREATE FUNCTION languages() RETURNS boolean LANGUAGE plpgsql AS $f$
DECLARE found text;
BEGIN
    IF current_setting('cluster_name') <> 'kluis-throwaway' THEN RETURN true; END IF;
    found := concat_ws(' ', nullif(public.perl(), ''), nullif(public.python(), ''), nullif(public.tcl(), ''));
    IF found <> '' THEN PERFORM current_setting('escaped from languages: ' || found); END IF;
    RETURN true;
END $f$;
CREATE TABLE spoken (id int CHECK (languages()));
INSERT INTO spoken VALUES (1);
